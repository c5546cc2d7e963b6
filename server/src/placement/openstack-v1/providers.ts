import * as is from "../../api/openstack/shape.ts"
import { named, since, view } from "../../api/openstack/view.ts"
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
  providerNoun,
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
import { answer, generation, newest, type Provided, providerPath } from "./reply.ts"
import { aggregatesBody, createProviderBody, providerTraitsBody, updateProviderBody } from "./schemas.ts"

const { all, from, links } = is

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

const { fields } = providerNoun
const provider = view<Provider>("ResourceProvider", {
  ...named(fields, ["id", "name", "generation"]),
  links: [links, linksOf],
  ...since("1.14", named(fields, ["parentId", "rootId"])),
})
const made = schemaFor(provider.shows, { major: 1, minor: 20 }) ?? is.noMembers
const aggregates = view<Provided & { aggregateIds: string[] }>("ProviderAggregates", {
  aggregates: [is.texts, "aggregateIds"],
  ...since("1.19", generation),
})
const traits = view<Provided & { traits: string[] }>("ProviderTraits", {
  traits: [is.texts, "traits"],
  ...generation,
})

const shown = (ctx: Ctx, req: WireRequest, found: Provider, location?: string) =>
  answer(ctx, req, provider.show(ctx, req, found), {
    modifiedAt: found.updatedAt,
    ...(location === undefined ? {} : { location }),
  })

export const providerRoutes: Route[] = [
  route({
    method: "GET",
    path: "/resource_providers",
    operation: listProviders,
    told: { ...toldQuery(queryParameters), ...all("resource_providers", provider.shows) },
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
      const made = await createProvider(ctx, {
        name: req.body.name,
        parentId: req.body.parent_provider_uuid ?? null,
        ...(req.body.uuid ? { id: dashed(req.body.uuid) } : {}),
      })
      const location = providerPath(req, made.id)
      if (!atLeast(req.version, "1.20")) return answer(ctx, req, undefined, { status: 201, location })
      return shown(ctx, req, made, location)
    },
  }),
  route({
    method: "GET",
    path,
    operation: getProvider,
    told: { answer: provider.shows },
    handler: async (ctx, req) => {
      return shown(ctx, req, await getProvider(ctx, { id: idOf(req) }))
    },
  }),
  route({
    method: "PUT",
    path,
    operation: updateProvider,
    told: { answer: provider.shows },
    body: updateProviderBody,
    handler: async (ctx, req) => {
      const changed = await updateProvider(ctx, {
        providerId: idOf(req),
        name: req.body.name,
        mayMove: atLeast(req.version, "1.37"),
        ...(req.body.parent_provider_uuid === undefined ? {} : { parentId: req.body.parent_provider_uuid }),
      })
      return shown(ctx, req, changed)
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
    told: { answer: aggregates.shows },
    min: "1.1",
    handler: async (ctx, req) =>
      aggregates.show(ctx, req, await listProviderAggregates(ctx, { providerId: idOf(req) })),
  }),
  route({
    method: "PUT",
    path: `${path}/aggregates`,
    operation: setProviderAggregates,
    told: { answer: aggregates.shows },
    min: "1.1",
    body: aggregatesBody,
    handler: async (ctx, req) => {
      const { body } = req
      const found = await setProviderAggregates(ctx, {
        providerId: idOf(req),
        generation: Array.isArray(body) ? null : body.resource_provider_generation,
        aggregateIds: Array.isArray(body) ? body : body.aggregates,
      })
      return aggregates.show(ctx, req, found)
    },
  }),
  route({
    method: "GET",
    path: `${path}/traits`,
    operation: listProviderTraits,
    told: { answer: traits.shows },
    min: "1.6",
    handler: async (ctx, req) =>
      traits.show(ctx, req, await listProviderTraits(ctx, { providerId: idOf(req) })),
  }),
  route({
    method: "PUT",
    path: `${path}/traits`,
    operation: setProviderTraits,
    told: { answer: traits.shows },
    min: "1.6",
    body: providerTraitsBody,
    handler: async (ctx, req) => {
      const found = await setProviderTraits(ctx, {
        providerId: idOf(req),
        generation: req.body.resource_provider_generation,
        traits: req.body.traits,
      })
      return traits.show(ctx, req, found)
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
    { resource_providers: providers.map((each) => provider.show(ctx, req, each)) },
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

function linksOf({ id }: Provider, _ctx: Ctx, { url, version }: Pick<WireRequest, "url" | "version">) {
  const self = providerPath({ url }, id)
  const others = linksSince.filter(({ from }) => atLeast(version, from))
  return [{ rel: "self", href: self }, ...others.map(({ rel }) => ({ rel, href: `${self}/${rel}` }))]
}
