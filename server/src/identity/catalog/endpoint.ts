// Make, get, list, change and delete endpoints.
import { sql } from "kysely"
import { Type } from "typebox"
import type { Tx } from "../../platform/db/database.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { newHexId } from "../../platform/ids/ids.ts"
import { boolean, columnsOf, field, inputOnly, nullable, text, word } from "../../platform/noun/field.ts"
import { insertThing, updateThing } from "../../platform/noun/list.ts"
import { noun, type Thing, visibleToAll } from "../../platform/noun/noun.ts"
import { getOf, listOf } from "../../platform/noun/verbs.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity } from "../change.ts"
import { deleteOf } from "../delete.ts"
import { found, missingOf, notFound } from "../faults.ts"
import {
  asListed,
  everyone,
  extraField,
  find,
  foundFirst,
  idField,
  sorts,
  textField,
  withExtra,
} from "../read.ts"
import { regionNoun } from "./region.ts"
import { serviceNoun } from "./service.ts"

const Url = Type.String({ minLength: 1, maxLength: 2_048, pattern: "^[a-zA-Z0-9+.-]+:.+" })
const given = { create: "required", update: true } as const

export const endpointNoun = noun({
  name: "identity.endpoint",
  table: sql`identity.endpoint`,
  alias: "e",
  fields: {
    id: idField("e"),
    serviceId: text(sql`e.service_id`, { ...given, filter: true }),
    interface: word(["public", "internal", "admin"], sql`e.interface`, { ...given, filter: true }),
    url: field("text", Url, sql`e.url`, given),
    regionId: nullable(text(sql`e.region_id`, { create: true, update: true, filter: true })),
    /** Older clients name a region that need not be there yet. */
    isRegionMade: inputOnly(Type.Boolean(), { create: true, update: true }),
    name: textField(sql`e.name`),
    isEnabled: boolean(sql`e.is_enabled`, { create: true, update: true, name: "enabled" }),
    extra: extraField("e"),
  },
  order: sorts.byId,
  visible: () => visibleToAll,
  ...missingOf("endpoint"),
})

export type Endpoint = Thing<typeof endpointNoun>

const knownVariables = new Set(["tenant_id", "project_id", "user_id", "public_bind_host", "admin_bind_host"])

/** A URL with a variable that nobody fills would be missing in every catalog. */
function checkUrl(url: string): void {
  for (const [, name = ""] of url.matchAll(/[$%]\(([^)]*)\)/g)) {
    if (!knownVariables.has(name)) throw malformedUrl(url)
  }
  if (/[$%]\([^)]*(?:$|\)(?!s))/.test(url)) throw malformedUrl(url)
}

function malformedUrl(url: string) {
  return invalid(
    "url",
    `Malformed endpoint URL (${url}); it may hold $(project_id)s, $(tenant_id)s and $(user_id)s.`,
  )
}

async function checkParties(
  tx: Tx,
  input: { serviceId?: string; regionId?: string | null; isRegionMade?: boolean },
): Promise<void> {
  if (input.serviceId !== undefined && !(await find(tx, serviceNoun, input.serviceId)))
    throw invalid("service_id", `Could not find service: ${input.serviceId}.`)
  if (!input.regionId || (await find(tx, regionNoun, input.regionId))) return
  if (!input.isRegionMade) throw invalid("region_id", `Could not find region: ${input.regionId}.`)
  await tx
    .insertInto("identity.region")
    .values({ id: input.regionId, parent_region_id: null })
    .onConflict((oc) => oc.doNothing())
    .execute()
}

export const createEndpoint = operation({
  name: "identity.endpoint.create",
  input: endpointNoun.create,
  rule: "identity:create_endpoint",
  run: async (ctx, input): Promise<Endpoint> => {
    checkUrl(input.url)
    return await changeIdentity(ctx, async (tx) => {
      await checkParties(tx, input)
      const id = newHexId()
      const { isRegionMade: _, ...facts } = input
      const endpoint = await insertThing(tx, endpointNoun, everyone, { values: columnsOf({ ...facts, id }) })
      await announce(ctx, tx, "endpoint", "created", id)
      return found(endpoint, "endpoint", id)
    })
  },
})

export const getEndpoint = getOf(endpointNoun, { ...foundFirst, rule: "identity:get_endpoint" })
export const listEndpoints = listOf(endpointNoun, { ...asListed, rule: "identity:list_endpoints" })

export const updateEndpoint = operation({
  name: "identity.endpoint.update",
  input: Type.Object({ id: Type.String(), changes: endpointNoun.changes }),
  faults: [notFound],
  load: async (ctx, { id }) => found(await find(ctx.db, endpointNoun, id), "endpoint", id),
  rule: "identity:update_endpoint",
  run: async (ctx, { id, changes }): Promise<Endpoint> => {
    if (changes.url !== undefined) checkUrl(changes.url)
    return await changeIdentity(ctx, async (tx) => {
      await checkParties(tx, changes)
      const { isRegionMade: _, ...facts } = changes
      const after = await updateThing(tx, endpointNoun, everyone, id, columnsOf(withExtra(facts)))
      await announce(ctx, tx, "endpoint", "updated", id)
      return found(after, "endpoint", id)
    })
  },
})

export const deleteEndpoint = deleteOf(endpointNoun, {
  ...foundFirst,
  rule: "identity:delete_endpoint",
  event: "endpoint",
})
