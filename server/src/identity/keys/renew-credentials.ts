import type { Platform } from "../../platform/context/context.ts"
import { openBlob } from "../credential/read.ts"
import { seal } from "../seal.ts"

/** Rows that are read at one time. */
const batch = 200

/** Encrypts with the primary key what an older one encrypted; returns how many. May be run again at any time. */
export async function renewCredentials(platform: Platform): Promise<number> {
  const ring = platform.drivers.identity.credentialKeys
  let renewed = 0
  for (let after = ""; ; ) {
    const rows = await platform.db
      .selectFrom("identity.credential")
      .selectAll()
      .where("id", ">", after)
      .orderBy("id")
      .limit(batch)
      .execute()
    for (const row of rows) {
      if (!ring.isOutdated(row.encrypted_blob)) continue
      // Who changed it meanwhile has encrypted it with a newer key.
      const changed = await platform.db
        .updateTable("identity.credential")
        .set({ encrypted_blob: seal(platform, openBlob(platform, row.id, row.encrypted_blob)) })
        .where("id", "=", row.id)
        .where("encrypted_blob", "=", row.encrypted_blob)
        .executeTakeFirst()
      renewed += Number(changed.numUpdatedRows)
    }
    const last = rows.at(-1)
    if (!last || rows.length < batch) return renewed
    after = last.id
  }
}
