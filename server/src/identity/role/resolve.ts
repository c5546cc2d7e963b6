import type { DbOrTx } from "../../platform/db/database.ts"
import { conflict, found, notFound } from "../faults.ts"
import { isNamed } from "../names.ts"
import { findRole, type RoleRow } from "./store.ts"

/** Roles by id, or by a name that must be of one role only. */
export async function resolveRoles(
  db: DbOrTx,
  refs: readonly { id?: string; name?: string; domainId?: string }[],
): Promise<RoleRow[]> {
  const roles: RoleRow[] = []
  for (const ref of refs) {
    if (ref.id !== undefined) {
      roles.push(found(await findRole(db, ref.id), "role", ref.id))
      continue
    }
    const named = await db
      .selectFrom("identity.role")
      .selectAll()
      .where(isNamed("name", ref.name ?? ""))
      .where("domain_id", ref.domainId === undefined ? "is" : "=", ref.domainId ?? null)
      .execute()
    const [first, second] = named
    if (!first) throw notFound("role", ref.name ?? "")
    if (second) throw conflict("role", `the name ${ref.name} stands for several roles; use the id`)
    roles.push(first)
  }
  return roles
}
