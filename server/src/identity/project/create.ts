import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { jsonb, type Tx } from "../../platform/db/database.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { newHexId } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeOrConflict } from "../change.ts"
import { conflict, domainNameTaken, projectNameTaken } from "../faults.ts"
import { changeOptions, placeOptions } from "../options.ts"
import { Extra, Options, ResourceName, Tags } from "../shapes.ts"
import type { Json } from "../tables.ts"
import { findDomain, listAncestors, lockPlace, type ProjectRow } from "./store.ts"

const NewProject = Type.Object({
  name: ResourceName,
  domainId: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  parentId: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  isDomain: Type.Optional(Type.Boolean()),
  isEnabled: Type.Optional(Type.Boolean()),
  description: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  tags: Type.Optional(Tags),
  options: Type.Optional(Options),
  extra: Type.Optional(Extra),
})

interface PlaceFacts {
  name: string
  isEnabled?: boolean
  description?: string | null
  tags?: string[]
  options?: Json
  extra?: Json
}

/** The domain of the caller's token is meant when none is named. */
export function ownDomainId(ctx: Ctx): string | null {
  const { domainId, projectDomainId, userDomainId } = ctx.caller
  return domainId ?? projectDomainId ?? userDomainId
}

/** Whoever may in one domain only has to name it: what is filled in later decides nothing, as in Keystone. */
function newTarget(input: { name: string; domainId?: string | null; parentId?: string | null }) {
  return { domain_id: input.domainId ?? null, name: input.name, parent_id: input.parentId ?? null }
}

export const createProject = operation({
  name: "identity.project.create",
  input: NewProject,
  faults: [conflict],
  load: async (ctx, input) => {
    if (input.isDomain) return { domainId: null }
    if (input.domainId) return { domainId: input.domainId }
    // A parent says the domain as well.
    const parent = input.parentId ? await listAncestors(ctx.db, input.parentId) : []
    return { domainId: parent.at(-1)?.id ?? (input.parentId ? input.parentId : ownDomainId(ctx)) }
  },
  rule: "identity:create_project",
  target: (_ctx, input) => ({ target: { project: newTarget(input) } }),
  run: async (ctx, input, { domainId }): Promise<ProjectRow> => {
    if (input.isDomain) {
      if (input.parentId || input.domainId) {
        throw invalid("parent_id", "Only root projects are allowed to act as domains.")
      }
      return await insertDomain(ctx, newHexId(), input)
    }
    return await changeOrConflict(
      ctx,
      () => projectNameTaken(input.name),
      async (tx) => {
        const parentId = input.parentId ?? domainId ?? ""
        await checkPlace(ctx, tx, parentId, domainId ?? "")
        const row = await insertPlace(tx, newHexId(), input, { domainId, parentId })
        await announce(ctx, tx, "project", "created", row.id)
        return row
      },
    )
  },
})

export const createDomain = operation({
  name: "identity.domain.create",
  input: Type.Object({
    name: ResourceName,
    explicitId: Type.Optional(Type.String({ pattern: "^[a-zA-Z0-9]{32}$" })),
    isEnabled: Type.Optional(Type.Boolean()),
    description: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    tags: Type.Optional(Tags),
    options: Type.Optional(Options),
    extra: Type.Optional(Extra),
  }),
  faults: [conflict],
  rule: "identity:create_domain",
  run: async (ctx, input): Promise<ProjectRow> =>
    await insertDomain(ctx, input.explicitId ?? newHexId(), input),
})

async function insertDomain(ctx: Ctx, id: string, facts: PlaceFacts): Promise<ProjectRow> {
  return await changeOrConflict(
    ctx,
    () => domainNameTaken(facts.name),
    async (tx) => {
      const row = await insertPlace(tx, id, facts, { domainId: null, parentId: null })
      await announce(ctx, tx, "domain", "created", id)
      return row
    },
  )
}

async function insertPlace(
  tx: Tx,
  id: string,
  facts: PlaceFacts,
  { domainId, parentId }: { domainId: string | null; parentId: string | null },
): Promise<ProjectRow> {
  return await tx
    .insertInto("identity.project")
    .values({
      id,
      name: facts.name.trim(),
      is_domain: domainId === null,
      domain_id: domainId,
      parent_id: parentId,
      is_enabled: facts.isEnabled ?? true,
      description: facts.description ?? "",
      tags: facts.tags ?? [],
      options: jsonb(changeOptions(placeOptions, {}, facts.options)),
      extra: jsonb(facts.extra ?? {}),
    })
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** The parent is there, in that domain, enabled up to the top, and not too deep. */
async function checkPlace(ctx: Ctx, tx: Tx, parentId: string, domainId: string): Promise<void> {
  // Held, so that it is neither deleted nor disabled while the child is made.
  const parent = await lockPlace(tx, parentId)
  if (!parent) throw invalid("parent_id", `Could not find project: ${parentId}.`)
  if (!(await findDomain(tx, domainId))) throw invalid("domain_id", `Could not find domain: ${domainId}.`)
  if ((parent.domain_id ?? parent.id) !== domainId) {
    throw invalid("domain_id", `The parent ${parentId} is not in the domain ${domainId}.`)
  }
  const above = [parent, ...(await listAncestors(tx, parentId))]
  const disabled = above.find((place) => !place.is_enabled)
  if (disabled) {
    throw invalid(
      "parent_id",
      `Cannot create a project in a branch containing a disabled project: ${disabled.id}.`,
    )
  }
  const depthMax = ctx.config.identity.maxProjectTreeDepth
  if (above.length > depthMax) throw tooDeep(parentId)
}

function tooDeep(parentId: string) {
  return invalid("parent_id", `Max hierarchy depth reached for ${parentId} branch.`)
}
