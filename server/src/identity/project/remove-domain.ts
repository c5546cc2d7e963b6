import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { announce } from "../change.ts"
import { forbidden } from "../faults.ts"
import { refuseImmutable } from "../options.ts"
import { clearProjects, type ProjectRow } from "./store.ts"

/** A domain with all that is in it; only a disabled one, so that nobody deletes a living cloud by a slip. */
export async function removeDomain(ctx: Ctx, tx: Tx, domain: ProjectRow): Promise<void> {
  const { id } = domain
  refuseImmutable("domain", domain, "delete")
  if (domain.is_enabled) throw forbidden("Cannot delete a domain that is enabled, please disable it first.")
  const users = tx.selectFrom("identity.user").select("id").where("domain_id", "=", id)
  await tx.deleteFrom("identity.credential").where("user_id", "in", users).execute()
  await tx.deleteFrom("identity.user").where("domain_id", "=", id).execute()
  await tx.deleteFrom("identity.group").where("domain_id", "=", id).execute()
  const projects = await tx.selectFrom("identity.project").select("id").where("domain_id", "=", id).execute()
  const ids = projects.map((project) => project.id)
  await clearProjects(tx, ids)
  // One statement: the references from child to parent are checked at its end.
  await tx.deleteFrom("identity.project").where("domain_id", "=", id).execute()
  for (const gone of ids) await announce(ctx, tx, "project", "deleted", gone)
  await tx.deleteFrom("identity.project").where("id", "=", id).execute()
  await announce(ctx, tx, "domain", "deleted", id)
}
