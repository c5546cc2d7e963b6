// The administrator's password that a guest has made for itself: it encrypts it for the key of its user and leaves it
// here once. Nothing else of the server changes by it, so its generation does not.
import { Type } from "typebox"
import type { DbOrTx } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { serverNotFound } from "../faults.ts"
import { targetOf, visibleServer } from "./read.ts"

const input = Type.Object({ serverId: Type.String() })

/** Empty when there is none. */
export const showGuestPassword = operation({
  name: "compute.server.show_guest_password",
  input,
  faults: [serverNotFound],
  load: (ctx, { serverId }) => visibleServer(ctx, serverId),
  rule: "os_compute_api:os-server-password:show",
  target: (_ctx, _input, server) => targetOf(server),
  run: (ctx, _input, server) => readGuestPassword(ctx.db, server.id),
})

/** The guest may set another one. */
export const clearGuestPassword = operation({
  name: "compute.server.clear_guest_password",
  input,
  faults: [serverNotFound],
  load: (ctx, { serverId }) => visibleServer(ctx, serverId),
  rule: "os_compute_api:os-server-password:clear",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, _input, server) => {
    await ctx.db
      .updateTable("compute.server")
      .set({ guest_password: null })
      .where("id", "=", server.id)
      .execute()
  },
})

export async function readGuestPassword(db: DbOrTx, serverId: string): Promise<string> {
  const row = await db
    .selectFrom("compute.server")
    .select("guest_password")
    .where("id", "=", serverId)
    .executeTakeFirst()
  return row?.guest_password ?? ""
}

/** False when there is one already. */
export async function keepGuestPassword(db: DbOrTx, serverId: string, password: string): Promise<boolean> {
  const changed = await db
    .updateTable("compute.server")
    .set({ guest_password: password })
    .where("id", "=", serverId)
    .where("guest_password", "is", null)
    .where("deleted_at", "is", null)
    .returning("id")
    .execute()
  return changed.length > 0
}
