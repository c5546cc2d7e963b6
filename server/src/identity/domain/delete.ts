import { operation } from "../../platform/operation/operation.ts"
import { changeIdentity } from "../change.ts"
import { forbidden, found, notFound } from "../faults.ts"
import { removeDomain } from "../project/delete.ts"
import { projectNoun } from "../project/project.ts"
import { find, lock } from "../read.ts"
import { Id } from "../shapes.ts"
import { domainNoun, domainTarget } from "./domain.ts"

export const deleteDomain = operation({
  name: "identity.domain.delete",
  input: Id,
  faults: [notFound, forbidden],
  load: async (ctx, { id }) => found(await find(ctx.db, domainNoun, id), "domain", id),
  rule: "identity:delete_domain",
  target: (_ctx, _input, domain) => domainTarget(domain),
  run: async (ctx, { id }) => {
    await changeIdentity(ctx, async (tx) => {
      await removeDomain(ctx, tx, found(await lock(tx, projectNoun, id), "domain", id))
    })
  },
})
