import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity } from "../change.ts"
import { forbidden, found, notFound } from "../faults.ts"
import { refuseImmutable } from "../options.ts"
import { find, lock } from "../read.ts"
import { type Project, projectNoun, projectTarget } from "./project.ts"
import { listDescendants } from "./read.ts"

export const deleteProject = operation({
  name: "identity.project.delete",
  input: Type.Object({ id: Type.String(), isCascade: Type.Optional(Type.Boolean()) }),
  faults: [notFound, forbidden],
  load: (ctx, { id }) => find(ctx.db, projectNoun, id),
  rule: "identity:delete_project",
  target: (_ctx, _input, project) => projectTarget(project),
  run: async (ctx, { id, isCascade }, project) => {
    found(project, "project", id)
    await changeIdentity(ctx, async (tx) => {
      const before = found(await lock(tx, projectNoun, id), "project", id)
      refuseImmutable("project", before, "delete")
      if (before.isDomain) return await removeDomain(ctx, tx, before)
      const below = await listDescendants(tx, id)
      if (below.length > 0 && !isCascade) {
        throw forbidden(
          `Cannot delete the project ${id} since it is not a leaf in the hierarchy. Delete what is below it first.`,
        )
      }
      if (below.some((place) => place.isEnabled)) {
        throw forbidden(`Cannot delete project ${id} since its subtree contains enabled projects.`)
      }
      const ids = [id, ...below.map((place) => place.id)]
      await clearProjects(tx, ids)
      await tx.deleteFrom("identity.project").where("id", "in", ids).execute()
      for (const gone of ids) await announce(ctx, tx, "project", "deleted", gone)
    })
  },
})

/** A domain with all that is in it; only a disabled one, so that nobody deletes a living cloud by a slip. */
export async function removeDomain(ctx: Ctx, tx: Tx, domain: Project): Promise<void> {
  const { id } = domain
  refuseImmutable("domain", domain, "delete")
  if (domain.isEnabled) throw forbidden("Cannot delete a domain that is enabled, please disable it first.")
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

/** What hangs on projects without a foreign key. */
async function clearProjects(tx: Tx, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  await tx
    .deleteFrom("identity.credential")
    .where("project_id", "in", [...ids])
    .execute()
  await tx
    .updateTable("identity.user")
    .set({ default_project_id: null })
    .where("default_project_id", "in", [...ids])
    .execute()
}
