import * as is from "../../api/openstack/shape.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { atLeast } from "../../platform/http/microversion.ts"
import { schemaFor } from "../../platform/http/versions.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import {
  clearProviderTraits,
  createProvider,
  deleteProvider,
  getProvider,
  listProviderAggregates,
  listProviders,
  listProviderTraits,
  type Provider,
  setProviderAggregates,
  setProviderTraits,
  updateProvider,
} from "../index.ts"
import {
  checkQuery,
  knownAt,
  one,
  readMemberOf,
  readResources,
  readTraits,
  readUuid,
  texts,
  toldQuery,
  uuidText,
} from "./query.ts"
import { answer, checkAccept, newest, providerPath, requireJson } from "./reply.ts"
import { aggregatesBody, createProviderBody, providerTraitsBody, updateProviderBody } from "./schemas.ts"

const { all, count, from, links, shape, text, textOrNull } = is

const path = "/resource_providers/{uuid}"
const idOf = (req: WireRequest) => req.params.uuid ?? ""

/** With dashes, as ids are shown. */
function dashed(id: string): string {
  const hex = id.replaceAll("-", "").toLowerCase()
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-")
}

const queryParameters = [
  { name: "name", from: "1.0" },
  { name: "uuid", from: "1.0", schema: uuidText },
  { name: "member_of", from: "1.3", schema: texts },
  { name: "resources", from: "1.4" },
  { name: "in_tree", from: "1.14", schema: uuidText },
  { name: "required", from: "1.18", schema: texts },
]

const provider = shape("ResourceProvider", {
  ...{ uuid: text, name: text, generation: count, links },
  ...{ parent_provider_uuid: from("1.14", textOrNull), root_provider_uuid: from("1.14", text) },
})
const made = schemaFor(provider, { major: 1, minor: 20 }) ?? is.noMembers
const generation = { resource_provider_generation: from("1.19", count) }
const aggregates = shape("ProviderAggregates", { aggregates: is.texts, ...generation })
const traits = shape("ProviderTraits", { traits: is.texts, resource_provider_generation: count })

export const providerRoutes: Route[] = [
  route({
    method: "GET",
    path: "/resource_providers",
    operation: listProviders,
    told: { ...toldQuery(queryParameters), ...all("resource_providers", provider) },
    handler: list,
  }),
  route({
    method: "POST",
    path: "/resource_providers",
    operation: createProvider,
    status: [200, 201],
    body: createProviderBody,
    told: { answer: from("1.20", made) },
    handler: async (ctx, req) => {
      requireJson(req)
      const provider = await createProvider(ctx, {
        name: req.body.name,
        parentId: req.body.parent_provider_uuid ?? null,
        ...(req.body.uuid ? { id: dashed(req.body.uuid) } : {}),
      })
      const location = providerPath(req, provider.id)
      if (!atLeast(req.version, "1.20")) return answer(ctx, req, undefined, { status: 201, location })
      return answer(ctx, req, view(req, provider), { location, modifiedAt: provider.updatedAt })
    },
  }),
  route({
    method: "GET",
    path,
    operation: getProvider,
    told: { answer: provider },
    handler: async (ctx, req) => {
      checkAccept(req)
      const provider = await getProvider(ctx, { id: idOf(req) })
      return answer(ctx, req, view(req, provider), { modifiedAt: provider.updatedAt })
    },
  }),
  route({
    method: "PUT",
    path,
    operation: updateProvider,
    told: { answer: provider },
    body: updateProviderBody,
    handler: async (ctx, req) => {
      requireJson(req)
      const provider = await updateProvider(ctx, {
        providerId: idOf(req),
        name: req.body.name,
        mayMove: atLeast(req.version, "1.37"),
        ...(req.body.parent_provider_uuid === undefined ? {} : { parentId: req.body.parent_provider_uuid }),
      })
      return answer(ctx, req, view(req, provider), { modifiedAt: provider.updatedAt })
    },
  }),
  route({
    method: "DELETE",
    path,
    operation: deleteProvider,
    handler: (ctx, req) => deleteProvider(ctx, { providerId: idOf(req) }),
  }),
  route({
    method: "GET",
    path: `${path}/aggregates`,
    operation: listProviderAggregates,
    told: { answer: aggregates },
    min: "1.1",
    handler: async (ctx, req) => {
      checkAccept(req)
      const found = await listProviderAggregates(ctx, { providerId: idOf(req) })
      return answer(ctx, req, viewAggregates(req, found))
    },
  }),
  route({
    method: "PUT",
    path: `${path}/aggregates`,
    operation: setProviderAggregates,
    told: { answer: aggregates },
    min: "1.1",
    body: aggregatesBody,
    handler: async (ctx, req) => {
      requireJson(req)
      const { body } = req
      const found = await setProviderAggregates(ctx, {
        providerId: idOf(req),
        generation: Array.isArray(body) ? null : body.resource_provider_generation,
        aggregateIds: Array.isArray(body) ? body : body.aggregates,
      })
      return answer(ctx, req, viewAggregates(req, found))
    },
  }),
  route({
    method: "GET",
    path: `${path}/traits`,
    operation: listProviderTraits,
    told: { answer: traits },
    min: "1.6",
    handler: async (ctx, req) => {
      checkAccept(req)
      const found = await listProviderTraits(ctx, { providerId: idOf(req) })
      return answer(ctx, req, viewTraits(found))
    },
  }),
  route({
    method: "PUT",
    path: `${path}/traits`,
    operation: setProviderTraits,
    told: { answer: traits },
    min: "1.6",
    body: providerTraitsBody,
    handler: async (ctx, req) => {
      requireJson(req)
      const found = await setProviderTraits(ctx, {
        providerId: idOf(req),
        generation: req.body.resource_provider_generation,
        traits: req.body.traits,
      })
      return answer(ctx, req, viewTraits(found))
    },
  }),
  route({
    method: "DELETE",
    path: `${path}/traits`,
    operation: clearProviderTraits,
    min: "1.6",
    handler: (ctx, req) => clearProviderTraits(ctx, { providerId: idOf(req) }),
  }),
]

async function list(ctx: Ctx, req: WireRequest): Promise<unknown> {
  checkAccept(req)
  checkQuery(req, knownAt(req, queryParameters))
  const [id, inTree, name] = [readUuid(req, "uuid"), readUuid(req, "in_tree"), one(req, "name")]
  const { required, forbidden } = readTraits(req, "required")
  const { memberOf, notMemberOf } = readMemberOf(req, "member_of")
  const resources = one(req, "resources")
  const providers = await listProviders(ctx, {
    filters: {
      ...(id === undefined ? {} : { id: [id] }),
      ...(name === undefined ? {} : { name: [name] }),
      ...(inTree === undefined ? {} : { inTree: [inTree] }),
    },
    resources: resources === undefined ? {} : readResources(resources),
    requiredTraits: required,
    forbiddenTraits: forbidden,
    memberOf,
    notMemberOf,
  })
  const modifiedAt = newest(providers.map((p) => p.updatedAt))
  return answer(
    ctx,
    req,
    { resource_providers: providers.map((p) => view(req, p)) },
    { ...(modifiedAt ? { modifiedAt } : {}) },
  )
}

const linksSince = [
  { rel: "inventories", from: "1.0" },
  { rel: "usages", from: "1.0" },
  { rel: "aggregates", from: "1.1" },
  { rel: "traits", from: "1.6" },
  { rel: "allocations", from: "1.11" },
]

function view(req: WireRequest, provider: Provider): Record<string, unknown> {
  const self = providerPath(req, provider.id)
  return {
    uuid: provider.id,
    name: provider.name,
    generation: provider.generation,
    links: [
      { rel: "self", href: self },
      ...linksSince
        .filter((l) => atLeast(req.version, l.from))
        .map(({ rel }) => ({ rel, href: `${self}/${rel}` })),
    ],
    ...(atLeast(req.version, "1.14")
      ? { parent_provider_uuid: provider.parentId, root_provider_uuid: provider.rootId }
      : {}),
  }
}

function viewAggregates(req: WireRequest, found: { provider: Provider; aggregateIds: string[] }) {
  return {
    aggregates: found.aggregateIds,
    ...(atLeast(req.version, "1.19") ? { resource_provider_generation: found.provider.generation } : {}),
  }
}

function viewTraits(found: { provider: Provider; traits: string[] }) {
  return { traits: found.traits, resource_provider_generation: found.provider.generation }
}
