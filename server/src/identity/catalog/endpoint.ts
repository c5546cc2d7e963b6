// Make, get, list, change and delete endpoints.
import { type Selectable, sql } from "kysely"
import { Type } from "typebox"
import { type DbOrTx, jsonb, type Tx } from "../../platform/db/database.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { newHexId } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity } from "../change.ts"
import { found, notFound } from "../faults.ts"
import { ListInput, type ListSpec, listRows, type Rows } from "../list.ts"
import { Extra, Id, Text } from "../shapes.ts"
import type { EndpointTable } from "../tables.ts"
import { findRegion } from "./region.ts"
import { findService } from "./service.ts"

export type EndpointRow = Selectable<EndpointTable>

const endpointList: ListSpec = {
  table: sql`identity.endpoint`,
  columns: { interface: sql`interface`, service_id: sql`service_id`, region_id: sql`region_id` },
}

const Interface = Type.Union([Type.Literal("public"), Type.Literal("internal"), Type.Literal("admin")])
const Url = Type.String({ minLength: 1, maxLength: 2_048, pattern: "^[a-zA-Z0-9+.-]+:.+" })

const optional = {
  name: Type.Optional(Text),
  isEnabled: Type.Optional(Type.Boolean()),
  regionId: Type.Optional(Text),
  /** Older clients name a region that need not be there yet. */
  isRegionMade: Type.Optional(Type.Boolean()),
  extra: Type.Optional(Extra),
}

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

export async function findEndpoint(db: DbOrTx, id: string): Promise<EndpointRow | null> {
  const row = await db.selectFrom("identity.endpoint").selectAll().where("id", "=", id).executeTakeFirst()
  return row ?? null
}

async function checkParties(
  tx: Tx,
  input: { serviceId?: string; regionId?: string | null; isRegionMade?: boolean },
): Promise<void> {
  if (input.serviceId !== undefined && !(await findService(tx, input.serviceId)))
    throw invalid("service_id", `Could not find service: ${input.serviceId}.`)
  if (!input.regionId || (await findRegion(tx, input.regionId))) return
  if (!input.isRegionMade) throw invalid("region_id", `Could not find region: ${input.regionId}.`)
  await tx
    .insertInto("identity.region")
    .values({ id: input.regionId, parent_region_id: null })
    .onConflict((oc) => oc.doNothing())
    .execute()
}

export const createEndpoint = operation({
  name: "identity.endpoint.create",
  input: Type.Object({ serviceId: Type.String(), interface: Interface, url: Url, ...optional }),
  rule: "identity:create_endpoint",
  run: async (ctx, input): Promise<EndpointRow> => {
    checkUrl(input.url)
    return await changeIdentity(ctx, async (tx) => {
      await checkParties(tx, input)
      const row = await tx
        .insertInto("identity.endpoint")
        .values({
          id: newHexId(),
          service_id: input.serviceId,
          region_id: input.regionId ?? null,
          interface: input.interface,
          url: input.url,
          name: input.name ?? null,
          is_enabled: input.isEnabled ?? true,
          extra: jsonb(input.extra ?? {}),
        })
        .returningAll()
        .executeTakeFirstOrThrow()
      await announce(ctx, tx, "endpoint", "created", row.id)
      return row
    })
  },
})

export const getEndpoint = operation({
  name: "identity.endpoint.get",
  input: Id,
  faults: [notFound],
  load: async (ctx, { id }) => found(await findEndpoint(ctx.db, id), "endpoint", id),
  rule: "identity:get_endpoint",
  run: async (_ctx, _input, row) => row,
})

export const listEndpoints = operation({
  name: "identity.endpoint.list",
  input: ListInput,
  rule: "identity:list_endpoints",
  run: async (ctx, input): Promise<Rows<EndpointRow>> => await listRows(ctx, endpointList, input),
})

export const updateEndpoint = operation({
  name: "identity.endpoint.update",
  input: Type.Object({
    id: Type.String(),
    serviceId: Type.Optional(Type.String()),
    interface: Type.Optional(Interface),
    url: Type.Optional(Url),
    ...optional,
  }),
  faults: [notFound],
  load: async (ctx, { id }) => found(await findEndpoint(ctx.db, id), "endpoint", id),
  rule: "identity:update_endpoint",
  run: async (ctx, input): Promise<EndpointRow> => {
    if (input.url !== undefined) checkUrl(input.url)
    return await changeIdentity(ctx, async (tx) => {
      await checkParties(tx, input)
      const after = await tx
        .updateTable("identity.endpoint")
        .set({
          id: input.id,
          ...(input.serviceId === undefined ? {} : { service_id: input.serviceId }),
          ...(input.interface === undefined ? {} : { interface: input.interface }),
          ...(input.url === undefined ? {} : { url: input.url }),
          ...(input.name === undefined ? {} : { name: input.name }),
          ...(input.isEnabled === undefined ? {} : { is_enabled: input.isEnabled }),
          ...(input.regionId === undefined ? {} : { region_id: input.regionId }),
          ...(input.extra === undefined ? {} : { extra: sql<never>`extra || ${jsonb(input.extra)}` }),
        })
        .where("id", "=", input.id)
        .returningAll()
        .executeTakeFirst()
      await announce(ctx, tx, "endpoint", "updated", input.id)
      return found(after, "endpoint", input.id)
    })
  },
})

export const deleteEndpoint = operation({
  name: "identity.endpoint.delete",
  input: Id,
  faults: [notFound],
  load: async (ctx, { id }) => found(await findEndpoint(ctx.db, id), "endpoint", id),
  rule: "identity:delete_endpoint",
  run: async (ctx, { id }) => {
    await changeIdentity(ctx, async (tx) => {
      await tx.deleteFrom("identity.endpoint").where("id", "=", id).execute()
      await announce(ctx, tx, "endpoint", "deleted", id)
    })
  },
})
