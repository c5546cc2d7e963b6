import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import { changeOrConflict } from "../change.ts"
import { conflict, domainNameTaken, forbidden, found, notFound } from "../faults.ts"
import { refuseImmutable } from "../options.ts"
import { projectNoun } from "../project/project.ts"
import { savePlace } from "../project/update.ts"
import { find, lock } from "../read.ts"
import { type Domain, domainNoun, domainTarget } from "./domain.ts"

export const updateDomain = operation({
  name: "identity.domain.update",
  input: Type.Object({ id: Type.String(), changes: domainNoun.changes }),
  faults: [notFound, conflict, forbidden],
  load: async (ctx, { id }) => found(await find(ctx.db, domainNoun, id), "domain", id),
  rule: "identity:update_domain",
  target: (_ctx, _input, domain) => domainTarget(domain),
  run: async (ctx, { id, changes }): Promise<Domain> =>
    await changeOrConflict(
      ctx,
      () => domainNameTaken(changes.name),
      async (tx) => {
        const before = found(await lock(tx, projectNoun, id), "domain", id)
        refuseImmutable("domain", before, "update", changes.options)
        return await savePlace(ctx, tx, before, changes)
      },
    ),
})
