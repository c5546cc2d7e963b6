import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { newHexId } from "../../platform/ids/ids.ts"
import { columnsOf } from "../../platform/noun/field.ts"
import { insertThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity } from "../change.ts"
import { type Domain, domainNoun } from "../domain/domain.ts"
import { conflict, domainNameTaken, projectNameTaken } from "../faults.ts"
import { changeOptions, placeOptions } from "../options.ts"
import { everyone, find, lock, ownDomainId } from "../read.ts"
import { type NewProject, type Project, projectNoun } from "./project.ts"
import { listAncestors } from "./read.ts"

/** Whoever may in one domain only has to name it: what is filled in later decides nothing, as in Keystone. */
function newTarget(input: NewProject) {
  return { domain_id: input.domainId ?? null, name: input.name, parent_id: input.parentId ?? null }
}

export const createProject = operation({
  name: "identity.project.create",
  input: projectNoun.create,
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
  run: async (ctx, input, { domainId }): Promise<Project> => {
    if (input.isDomain) {
      if (input.parentId || input.domainId) {
        throw invalid("parent_id", "Only root projects are allowed to act as domains.")
      }
      return await insertDomain(ctx, newHexId(), input)
    }
    return await changeIdentity(ctx, async (tx) => {
      const parentId = input.parentId ?? domainId ?? ""
      await checkPlace(ctx, tx, parentId, domainId ?? "")
      const project = await insertPlace(tx, newHexId(), { ...input, domainId, parentId, isDomain: false })
      if (!project) throw projectNameTaken(input.name)
      await announce(ctx, tx, "project", "created", project.id)
      return project
    })
  },
})

export const createDomain = operation({
  name: "identity.domain.create",
  input: domainNoun.create,
  faults: [conflict],
  rule: "identity:create_domain",
  run: async (ctx, { explicitId, ...input }): Promise<Domain> =>
    await insertDomain(ctx, explicitId ?? newHexId(), input),
})

async function insertDomain(ctx: Ctx, id: string, facts: NewProject): Promise<Project> {
  return await changeIdentity(ctx, async (tx) => {
    const place = { domainId: null, parentId: null, isDomain: true }
    const domain = await insertPlace(tx, id, { ...facts, ...place })
    if (!domain) throw domainNameTaken(facts.name)
    await announce(ctx, tx, "domain", "created", id)
    return domain
  })
}

/** Undefined when the name is taken. */
async function insertPlace(tx: Tx, id: string, facts: NewProject): Promise<Project | undefined> {
  const values = columnsOf({
    ...facts,
    id,
    name: facts.name.trim(),
    description: facts.description ?? "",
    options: changeOptions(placeOptions, {}, facts.options),
  })
  return await insertThing(tx, projectNoun, everyone, { values })
}

/** The parent is there, in that domain, enabled up to the top, and not too deep. */
async function checkPlace(ctx: Ctx, tx: Tx, parentId: string, domainId: string): Promise<void> {
  // Held, so that it is neither deleted nor disabled while the child is made.
  const parent = await lock(tx, projectNoun, parentId)
  if (!parent) throw invalid("parent_id", `Could not find project: ${parentId}.`)
  if (!(await find(tx, domainNoun, domainId)))
    throw invalid("domain_id", `Could not find domain: ${domainId}.`)
  if ((parent.domainId ?? parent.id) !== domainId) {
    throw invalid("domain_id", `The parent ${parentId} is not in the domain ${domainId}.`)
  }
  const above = [parent, ...(await listAncestors(tx, parentId))]
  const disabled = above.find((place) => !place.isEnabled)
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
