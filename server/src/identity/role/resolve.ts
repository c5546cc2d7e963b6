import { sql } from "kysely"
import type { DbOrTx } from "../../platform/db/database.ts"
import { listThings } from "../../platform/noun/list.ts"
import { conflict, found, notFound } from "../faults.ts"
import { everyone, find } from "../read.ts"
import { type Role, roleNoun } from "./role.ts"

/** Roles by id, or by a name that must be of one role only. */
export async function resolveRoles(
  db: DbOrTx,
  refs: readonly { id?: string; name?: string; domainId?: string }[],
): Promise<Role[]> {
  const roles: Role[] = []
  for (const ref of refs) {
    if (ref.id !== undefined) {
      roles.push(found(await find(db, roleNoun, ref.id), "role", ref.id))
      continue
    }
    const named = await listThings(db, roleNoun, everyone, {
      filters: { name: [ref.name ?? ""] },
      also: [sql<boolean>`r.domain_id is not distinct from ${ref.domainId ?? null}`],
    })
    const [first, second] = named
    if (!first) throw notFound("role", ref.name ?? "")
    if (second) throw conflict("role", `the name ${ref.name} stands for several roles; use the id`)
    roles.push(first)
  }
  return roles
}
