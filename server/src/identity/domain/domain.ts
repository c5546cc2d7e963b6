// Get, list, change and delete domains. Making one shares its code with projects: project/create.ts.
import { sql } from "kysely"
import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import { changeIdentity, changeOrConflict } from "../change.ts"
import { conflict, domainNameTaken, forbidden, found, notFound } from "../faults.ts"
import { ListInput, listRows } from "../list.ts"
import { refuseImmutable } from "../options.ts"
import { announcePlaceUpdate, savePlace } from "../project/project.ts"
import { removeDomain } from "../project/remove-domain.ts"
import { findDomain, lockPlace, type ProjectRow, placeList } from "../project/store.ts"
import type { Rows } from "../read.ts"
import { Extra, Id, Options, ResourceName, Tags, Text } from "../shapes.ts"

function domainTarget(row: ProjectRow | null) {
  return { target: { domain: row ? { id: row.id, name: row.name } : undefined } }
}

export const getDomain = operation({
  name: "identity.domain.get",
  input: Id,
  faults: [notFound],
  load: (ctx, { id }) => findDomain(ctx.db, id),
  rule: "identity:get_domain",
  target: (_ctx, _input, row) => domainTarget(row),
  run: async (_ctx, { id }, row) => found(row, "domain", id),
})

export const listDomains = operation({
  name: "identity.domain.list",
  input: ListInput,
  rule: "identity:list_domains",
  target: (ctx) => ({ "target.domain.id": ctx.caller.domainId }),
  run: async (ctx, input): Promise<Rows<ProjectRow>> => {
    const own = ctx.caller.domainId
    const isLimited = own !== null && !ctx.caller.systemScope
    return await listRows(ctx, placeList, input, isLimited ? sql`is_domain and id = ${own}` : sql`is_domain`)
  },
})

export const updateDomain = operation({
  name: "identity.domain.update",
  input: Type.Object({
    id: Type.String(),
    name: Type.Optional(ResourceName),
    isEnabled: Type.Optional(Type.Boolean()),
    description: Type.Optional(Text),
    tags: Type.Optional(Tags),
    options: Type.Optional(Options),
    extra: Type.Optional(Extra),
  }),
  faults: [notFound, conflict, forbidden],
  load: async (ctx, { id }) => found(await findDomain(ctx.db, id), "domain", id),
  rule: "identity:update_domain",
  target: (_ctx, _input, row) => domainTarget(row),
  run: async (ctx, input) =>
    await changeOrConflict(
      ctx,
      () => domainNameTaken(input.name),
      async (tx) => {
        const before = found(await lockPlace(tx, input.id), "domain", input.id)
        refuseImmutable("domain", before, "update", input.options)
        const after = await savePlace(tx, before, input)
        await announcePlaceUpdate(ctx, tx, before, after)
        return after
      },
    ),
})

export const deleteDomain = operation({
  name: "identity.domain.delete",
  input: Id,
  faults: [notFound, forbidden],
  load: async (ctx, { id }) => found(await findDomain(ctx.db, id), "domain", id),
  rule: "identity:delete_domain",
  target: (_ctx, _input, row) => domainTarget(row),
  run: async (ctx, { id }) => {
    await changeIdentity(ctx, async (tx) => {
      await removeDomain(ctx, tx, found(await lockPlace(tx, id), "domain", id))
    })
  },
})
