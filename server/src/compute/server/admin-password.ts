// Nova's adminPass: the password that the answer to a creation, rebuild or rescue names, on its way to the guest. It
// stands sealed in the database for as long as a guest may take to start and ask for it, and in no saga's parameters.
import { sql } from "kysely"
import { Type } from "typebox"
import { openSealed, seal } from "../../identity/index.ts"
import type { Platform } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"

export const AdminPassword = Type.String({ maxLength: 255 })

/** For machines that are made now, in the transaction that begins it; in the place of what was there. */
export async function keepAdminPassword(
  platform: Platform,
  tx: Tx,
  serverIds: readonly string[],
  password: string | undefined,
): Promise<void> {
  if (password === undefined) return
  const sealed = seal(platform, password)
  await sql`with gone as (
      delete from compute.admin_password
      where made_at < ${oldest(platform)} and not server_id = any(${serverIds}::uuid[])
    )
    insert into compute.admin_password (server_id, sealed) select unnest(${serverIds}::uuid[]), ${sealed}
    on conflict (server_id) do update set sealed = excluded.sealed, made_at = now()`.execute(tx)
}

export async function dropAdminPassword(tx: Tx, serverId: string): Promise<void> {
  await tx.deleteFrom("compute.admin_password").where("server_id", "=", serverId).execute()
}

/** Null when there is none, or none any more. */
export async function readAdminPassword(platform: Platform, serverId: string): Promise<string | null> {
  const row = await platform.db
    .selectFrom("compute.admin_password")
    .select("sealed")
    .where("server_id", "=", serverId)
    .where("made_at", ">=", oldest(platform))
    .executeTakeFirst()
  return row ? openSealed(platform, row.sealed) : null
}

function oldest({ clock, config }: Platform): Date {
  return new Date(clock.now().getTime() - config.compute.adminPasswordKeptMs)
}
