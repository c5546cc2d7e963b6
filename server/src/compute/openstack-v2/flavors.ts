import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { atLeast, type Microversion } from "../../platform/http/microversion.ts"
import { boundedLimit, pageUrl, readPage } from "../../platform/http/paging.ts"
import { booleanWord, queryInteger, queryText } from "../../platform/http/query.ts"
import { versions } from "../../platform/http/versions.ts"
import { type Route, reply, route, type WireRequest } from "../../platform/http/wire.ts"
import {
  addFlavorAccess,
  createFlavor,
  createFlavorExtraSpecs,
  deleteFlavor,
  deleteFlavorExtraSpec,
  type Flavor,
  listFlavorAccess,
  listFlavorExtraSpecs,
  listFlavors,
  removeFlavorAccess,
  showFlavor,
  showFlavorExtraSpec,
  updateFlavor,
  updateFlavorExtraSpec,
} from "../index.ts"
import { checkQueryNames } from "./query-names.ts"

const sortKeys = Object.fromEntries(
  [
    "flavorid",
    "name",
    "memory_mb",
    "vcpus",
    "root_gb",
    "ephemeral_gb",
    "swap",
    "rxtx_factor",
    "is_public",
    "disabled",
    "id",
    "created_at",
    "updated_at",
  ].map((k) => [k, k]),
)

function links(ctx: Ctx, flavor: Flavor) {
  const id = encodeURIComponent(flavor.flavorId)
  return [
    { rel: "self", href: `${ctx.baseUrl}/compute/v2.1/flavors/${id}` },
    { rel: "bookmark", href: `${ctx.baseUrl}/compute/flavors/${id}` },
  ]
}

function maySeeSpecs(ctx: Ctx): boolean {
  return ctx.policy.isAllowed(ctx.caller, "os_compute_api:os-flavor-extra-specs:index", {
    project_id: ctx.caller.projectId,
  })
}

function viewBrief(ctx: Ctx, version: Microversion, flavor: Flavor) {
  return {
    id: flavor.flavorId,
    name: flavor.name,
    links: links(ctx, flavor),
    ...(atLeast(version, "2.55") ? { description: flavor.description } : {}),
  }
}

function viewFlavor(ctx: Ctx, version: Microversion, flavor: Flavor, withSpecs: boolean) {
  return {
    ...viewBrief(ctx, version, flavor),
    ram: flavor.ramMib,
    disk: flavor.diskGib,
    swap: flavor.swapMib === 0 && !atLeast(version, "2.75") ? "" : flavor.swapMib,
    vcpus: flavor.vcpus,
    "OS-FLV-EXT-DATA:ephemeral": flavor.ephemeralGib,
    "OS-FLV-DISABLED:disabled": flavor.isDisabled,
    "os-flavor-access:is_public": flavor.isPublic,
    rxtx_factor: flavor.rxtxFactor,
    ...(withSpecs && atLeast(version, "2.61") ? { extra_specs: flavor.extraSpecs } : {}),
  }
}

function readIsPublic(req: WireRequest): boolean | null {
  const text = queryText(req.query, "is_public")
  if (text === undefined) return true
  const word = text.trim()
  if (word.toLowerCase() === "none") return null
  const value = booleanWord(word)
  if (value !== undefined) return value
  throw invalid("is_public", `Invalid is_public filter [${text}]; use true, false or none.`)
}

const listParameters = ["limit", "marker", "is_public", "minRam", "minDisk", "sort_key", "sort_dir"]

async function list(ctx: Ctx, req: WireRequest, isDetail: boolean) {
  checkQueryNames(req, listParameters)
  const page = readPage(req.query, {
    sortKeys,
    defaultSorts: [{ key: "flavorid", direction: "asc" }],
    limitMax: 1_000,
    defaultDirection: "asc",
  })
  const minRamMib = queryInteger(req.query, "minRam")
  const minDiskGib = queryInteger(req.query, "minDisk")
  const limit = boundedLimit(page.limit, ctx.config.compute.listLimitMost)
  const flavors = await listFlavors(ctx, {
    isPublic: readIsPublic(req),
    page: { ...page, limit },
    ...(minRamMib === undefined ? {} : { minRamMib }),
    ...(minDiskGib === undefined ? {} : { minDiskGib }),
  })
  const withSpecs = isDetail && maySeeSpecs(ctx)
  const last = flavors.length === limit ? flavors.at(-1) : undefined
  return {
    flavors: flavors.map((f) =>
      isDetail ? viewFlavor(ctx, req.version, f, withSpecs) : viewBrief(ctx, req.version, f),
    ),
    ...(last
      ? { flavors_links: [{ rel: "next", href: pageUrl(ctx.baseUrl, req.url, { marker: last.flavorId }) }] }
      : {}),
  }
}

// Numbers may come as text, as Nova takes them.
const count = (minimum: number) => ({
  anyOf: [
    { type: "integer", minimum, maximum: 2_147_483_647 },
    { type: "string", pattern: "^[0-9]+$", maxLength: 10 },
  ],
})
const name = { type: "string", minLength: 1, maxLength: 255, pattern: "^(?! )[^\\u0000-\\u001f]*(?<! )$" }
const description = {
  type: ["string", "null"],
  maxLength: 65_535,
  pattern: "^[^\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f]*$",
}
const looseBoolean = { type: ["boolean", "string"] }

const createProperties = {
  name,
  id: {
    anyOf: [
      { type: "string", minLength: 1, maxLength: 255, pattern: "^(?! )[a-zA-Z0-9. _-]+(?<! )$" },
      { type: "integer" },
      { type: "null" },
    ],
  },
  ram: count(1),
  vcpus: count(1),
  disk: count(0),
  "OS-FLV-EXT-DATA:ephemeral": count(0),
  swap: count(0),
  rxtx_factor: {
    type: ["number", "string"],
    pattern: "^[0-9]+(\\.[0-9]+)?$",
    exclusiveMinimum: 0,
    maximum: 3.4e38,
  },
  "os-flavor-access:is_public": looseBoolean,
}

const createSchema = (more: Record<string, unknown>) => ({
  type: "object",
  properties: {
    flavor: {
      type: "object",
      properties: { ...createProperties, ...more },
      required: ["name", "ram", "vcpus", "disk"],
      additionalProperties: false,
    },
  },
  required: ["flavor"],
  additionalProperties: false,
})

interface CreateBody {
  flavor: Record<string, unknown> & { name: string; description?: string | null }
}

function readNumber(body: CreateBody["flavor"], key: string, fallback: number, min: number): number {
  const value = body[key] === undefined ? fallback : Number(body[key])
  if (!Number.isFinite(value) || value < min || value > 2_147_483_647) {
    throw invalid(
      key,
      `Invalid input for field/attribute ${key}. Value: ${String(body[key])}. It must be from ${min} to 2147483647.`,
    )
  }
  return value
}

function readBoolean(body: CreateBody["flavor"], key: string, fallback: boolean): boolean {
  const value = body[key]
  if (value === undefined) return fallback
  if (typeof value === "boolean") return value
  const found = booleanWord(String(value))
  if (found !== undefined) return found
  throw invalid(
    key,
    `Invalid input for field/attribute ${key}. Value: ${String(value)}. It must be true or false.`,
  )
}

async function create(ctx: Ctx, req: WireRequest<CreateBody>) {
  const body = req.body.flavor
  const id = body.id
  const rxtxFactor = body.rxtx_factor === undefined ? 1 : Number(body.rxtx_factor)
  if (!(rxtxFactor > 0))
    throw invalid("rxtx_factor", "Invalid input for field/attribute rxtx_factor. It must be greater than 0.")
  const flavor = await createFlavor(ctx, {
    flavorId: id === undefined || id === null || id === "auto" ? null : String(id),
    name: body.name,
    description: body.description ?? null,
    vcpus: readNumber(body, "vcpus", 1, 1),
    ramMib: readNumber(body, "ram", 1, 1),
    diskGib: readNumber(body, "disk", 0, 0),
    ephemeralGib: readNumber(body, "OS-FLV-EXT-DATA:ephemeral", 0, 0),
    swapMib: readNumber(body, "swap", 0, 0),
    rxtxFactor,
    isPublic: readBoolean(body, "os-flavor-access:is_public", true),
  })
  return { flavor: viewFlavor(ctx, req.version, flavor, maySeeSpecs(ctx)) }
}

const specKey = { "^[a-zA-Z0-9-_:. ]{1,255}$": { type: ["string", "number"], maxLength: 255 } }
const specsSchema = { type: "object", patternProperties: specKey, additionalProperties: false }

function readSpecs(specs: Record<string, string | number>): Record<string, string> {
  return Object.fromEntries(Object.entries(specs).map(([key, value]) => [key, String(value)]))
}

function viewAccess(access: { flavor: Flavor; projectIds: string[] }) {
  return {
    flavor_access: access.projectIds.map((projectId) => ({
      flavor_id: access.flavor.flavorId,
      tenant_id: projectId,
    })),
  }
}

const tenant = {
  type: "object",
  properties: { tenant: { type: "string", minLength: 1, maxLength: 255, pattern: "^[a-zA-Z0-9-]*$" } },
  required: ["tenant"],
  additionalProperties: false,
}

interface AccessBody {
  addTenantAccess?: { tenant: string }
  removeTenantAccess?: { tenant: string }
}

const flavorOf = (req: WireRequest) => ({ flavorId: req.params.flavor_id ?? "" })

const manageRoutes: Route[] = [
  route<CreateBody>({
    method: "POST",
    path: "/flavors",
    operation: createFlavor,
    body: versions({
      "2.1": createSchema({}),
      "2.55": createSchema({ description }),
    }),
    handler: create,
  }),
  route<{ flavor: { description: string | null } }>({
    method: "PUT",
    path: "/flavors/{flavor_id}",
    operation: updateFlavor,
    min: "2.55",
    body: {
      type: "object",
      properties: {
        flavor: {
          type: "object",
          properties: { description },
          required: ["description"],
          additionalProperties: false,
        },
      },
      required: ["flavor"],
      additionalProperties: false,
    },
    handler: async (ctx, req) => {
      const flavor = await updateFlavor(ctx, { ...flavorOf(req), description: req.body.flavor.description })
      return { flavor: viewFlavor(ctx, req.version, flavor, maySeeSpecs(ctx)) }
    },
  }),
  route({
    method: "DELETE",
    path: "/flavors/{flavor_id}",
    operation: deleteFlavor,
    status: 202,
    handler: async (ctx, req) => {
      await deleteFlavor(ctx, flavorOf(req))
      return reply(202)
    },
  }),
  route({
    method: "GET",
    path: "/flavors/{flavor_id}/os-flavor-access",
    operation: listFlavorAccess,
    handler: async (ctx, req) => viewAccess(await listFlavorAccess(ctx, flavorOf(req))),
  }),
  route<AccessBody>({
    method: "POST",
    path: "/flavors/{flavor_id}/action",
    actions: { addTenantAccess: addFlavorAccess, removeTenantAccess: removeFlavorAccess },
    body: {
      type: "object",
      properties: { addTenantAccess: tenant, removeTenantAccess: tenant },
      minProperties: 1,
      maxProperties: 1,
      additionalProperties: false,
    },
    handler: async (ctx, req) => {
      const { addTenantAccess, removeTenantAccess } = req.body
      if (addTenantAccess)
        return viewAccess(
          await addFlavorAccess(ctx, {
            ...flavorOf(req),
            projectId: addTenantAccess.tenant,
            mayBePublic: !atLeast(req.version, "2.7"),
          }),
        )
      return viewAccess(
        await removeFlavorAccess(ctx, { ...flavorOf(req), projectId: removeTenantAccess?.tenant ?? "" }),
      )
    },
  }),
]

const specRoutes: Route[] = [
  route({
    method: "GET",
    path: "/flavors/{flavor_id}/os-extra_specs",
    operation: listFlavorExtraSpecs,
    handler: async (ctx, req) => ({
      extra_specs: await listFlavorExtraSpecs(ctx, flavorOf(req)),
    }),
  }),
  route<{ extra_specs: Record<string, string | number> }>({
    method: "POST",
    path: "/flavors/{flavor_id}/os-extra_specs",
    operation: createFlavorExtraSpecs,
    body: {
      type: "object",
      properties: { extra_specs: specsSchema },
      required: ["extra_specs"],
      additionalProperties: false,
    },
    handler: async (ctx, req) => {
      const specs = readSpecs(req.body.extra_specs)
      await createFlavorExtraSpecs(ctx, { ...flavorOf(req), specs })
      return { extra_specs: specs }
    },
  }),
  route({
    method: "GET",
    path: "/flavors/{flavor_id}/os-extra_specs/{key}",
    operation: showFlavorExtraSpec,
    handler: async (ctx, req) => {
      const key = req.params.key ?? ""
      return { [key]: await showFlavorExtraSpec(ctx, { ...flavorOf(req), key }) }
    },
  }),
  route<Record<string, string | number>>({
    method: "PUT",
    path: "/flavors/{flavor_id}/os-extra_specs/{key}",
    operation: updateFlavorExtraSpec,
    body: { ...specsSchema, minProperties: 1, maxProperties: 1 },
    handler: async (ctx, req) => {
      const specs = readSpecs(req.body)
      const key = req.params.key ?? ""
      if (specs[key] === undefined) throw invalid(key, "Request body and URI mismatch")
      await updateFlavorExtraSpec(ctx, { ...flavorOf(req), specs })
      return specs
    },
  }),
  route({
    method: "DELETE",
    path: "/flavors/{flavor_id}/os-extra_specs/{key}",
    operation: deleteFlavorExtraSpec,
    status: 200,
    handler: async (ctx, req) => {
      await deleteFlavorExtraSpec(ctx, { ...flavorOf(req), key: req.params.key ?? "" })
      return reply(200)
    },
  }),
]

export const flavorRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/flavors",
    operation: listFlavors,
    handler: (ctx, req) => list(ctx, req, false),
  }),
  route({
    method: "GET",
    path: "/flavors/detail",
    operation: listFlavors,
    handler: (ctx, req) => list(ctx, req, true),
  }),
  route({
    method: "GET",
    path: "/flavors/{flavor_id}",
    operation: showFlavor,
    handler: async (ctx, req) => ({
      flavor: viewFlavor(ctx, req.version, await showFlavor(ctx, flavorOf(req)), maySeeSpecs(ctx)),
    }),
  }),
  ...manageRoutes,
  ...specRoutes,
]
