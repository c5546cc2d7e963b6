import { type TObjectOptions, Type } from "typebox"
import * as is from "../../api/openstack/shape.ts"
import { named, since, type Table, view } from "../../api/openstack/view.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { atLeast } from "../../platform/http/microversion.ts"
import { boundedLimit, readPage } from "../../platform/http/paging.ts"
import { booleanWord, queryInteger, queryText } from "../../platform/http/query.ts"
import { type BodyOf, versions } from "../../platform/http/versions.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { type Compared, givenFilters } from "../../platform/noun/list.ts"
import { keysOf } from "../../platform/noun/noun.ts"
import { closed, dictionary, typed } from "../../platform/schema/make.ts"
import {
  addFlavorAccess,
  createFlavor,
  createFlavorExtraSpecs,
  deleteFlavor,
  deleteFlavorExtraSpec,
  type Flavor,
  type FlavorAccess,
  flavorNoun,
  listFlavorAccess,
  listFlavorExtraSpecs,
  listFlavors,
  removeFlavorAccess,
  showFlavor,
  showFlavorExtraSpec,
  updateFlavor,
  updateFlavorExtraSpec,
} from "../index.ts"
import { nextLink } from "./next-link.ts"
import { checkQueryNames, toldQuery } from "./query-names.ts"
import { bodyOf, bodyWith } from "./schema-parts.ts"

const { all, count: whole, from, links: linked, page, rare, shape, text, textMap } = is

function links(ctx: Ctx, flavor: Flavor) {
  const id = encodeURIComponent(flavor.flavorId)
  return [
    { rel: "self", href: `${ctx.baseUrl}/compute/v2.1/flavors/${id}` },
    { rel: "bookmark", href: `${ctx.baseUrl}/compute/flavors/${id}` },
  ]
}

const { fields } = flavorNoun
const brief: Table<Flavor> = {
  ...named(fields, { id: "flavorId", name: "name" }),
  links: [linked, (flavor, ctx) => links(ctx, flavor)],
  ...since("2.55", named(fields, { description: "description" })),
}
const briefFlavor = view("FlavorBrief", brief)
/** What clients may write as text, as Nova takes it. */
const sizes = {
  ram: "ramMib",
  disk: "diskGib",
  swap: "swapMib",
  vcpus: "vcpus",
  "OS-FLV-EXT-DATA:ephemeral": "ephemeralGib",
} as const
const shownSwap = versions({ "2.1": Type.Union([whole, Type.Literal("")]), "2.75": whole })
const shownFlavor = view<Flavor & { maySeeSpecs: boolean }>("Flavor", {
  ...brief,
  ...named(fields, sizes),
  swap: [shownSwap, ({ swapMib }, _ctx, { version }) => (atLeast(version, "2.75") ? swapMib : swapMib || "")],
  ...named(fields, {
    "OS-FLV-DISABLED:disabled": "isDisabled",
    "os-flavor-access:is_public": "isPublic",
    rxtx_factor: "rxtxFactor",
  }),
  extra_specs: [
    from("2.61", rare(textMap)),
    ({ extraSpecs, maySeeSpecs }) => (maySeeSpecs ? extraSpecs : undefined),
  ],
})

/** The rule is asked once for all of them. */
function showAll(ctx: Ctx, req: WireRequest, flavors: readonly Flavor[]) {
  const maySeeSpecs = ctx.policy.isAllowed(ctx.caller, "os_compute_api:os-flavor-extra-specs:index", {
    project_id: ctx.caller.projectId,
  })
  return flavors.map((flavor) => shownFlavor.show(ctx, req, { ...flavor, maySeeSpecs }))
}

const showOne = (ctx: Ctx, req: WireRequest, flavor: Flavor) => ({ flavor: showAll(ctx, req, [flavor])[0] })
const one = is.one("flavor", shownFlavor.shows)
const access = all("flavor_access", shape("FlavorAccess", { flavor_id: text, tenant_id: text }))

/** Public ones, when nothing is said; `none`: both. */
function readIsPublic(req: WireRequest): string[] | undefined {
  const text = queryText(req.query, "is_public") ?? "true"
  const word = text.trim()
  if (word.toLowerCase() === "none") return undefined
  const value = booleanWord(word)
  if (value !== undefined) return [String(value)]
  throw invalid("is_public", `Invalid is_public filter [${text}]; use true, false or none.`)
}

const listParameters = ["limit", "marker", "is_public", "minRam", "minDisk", "sort_key", "sort_dir"]

async function list(ctx: Ctx, req: WireRequest, isDetail: boolean) {
  checkQueryNames(req, listParameters)
  // Nova knows no `sort`.
  const query = { ...req.query, sort: undefined }
  const page = readPage(query, {
    sortKeys: keysOf(flavorNoun.fields, "sort"),
    defaultSorts: [{ key: "flavorId", direction: "asc" }],
    limitMax: 1_000,
    defaultDirection: "asc",
  })
  const atLeastOf = (name: string): Compared[] | undefined => {
    const value = queryInteger(req.query, name)
    return value === undefined ? undefined : [{ by: "atLeast", value }]
  }
  const filters = {
    isPublic: readIsPublic(req),
    ramMib: atLeastOf("minRam"),
    diskGib: atLeastOf("minDisk"),
  }
  const limit = boundedLimit(page.limit, ctx.config.compute.listLimitMost)
  const flavors = await listFlavors(ctx, { filters: givenFilters(filters), page: { ...page, limit } })
  return {
    flavors: isDetail ? showAll(ctx, req, flavors) : flavors.map((each) => briefFlavor.show(ctx, req, each)),
    ...nextLink(ctx, req, "flavors", flavors.length === limit ? flavors.at(-1)?.flavorId : undefined),
  }
}

const leastOf = (size: keyof typeof sizes) => Number(Reflect.get(fields[sizes[size]].schema, "minimum"))
const count = (size: keyof typeof sizes) =>
  Type.Union([
    Type.Integer({ minimum: leastOf(size), maximum: 2_147_483_647 }),
    Type.String({ pattern: "^[0-9]+$", maxLength: 10 }),
  ])
const name = Type.String({
  minLength: 1,
  maxLength: 255,
  pattern: "^(?! )[^\\u0000-\\u001f]*(?<! )$",
})
const description = typed(["string", "null"], {
  maxLength: 65_535,
  pattern: "^[^\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f]*$",
})
const id = Type.Union([
  Type.String({ minLength: 1, maxLength: 255, pattern: "^(?! )[a-zA-Z0-9. _-]+(?<! )$" }),
  Type.Integer(),
  Type.Null(),
])

const created = {
  name,
  id,
  ram: count("ram"),
  vcpus: count("vcpus"),
  disk: count("disk"),
  "OS-FLV-EXT-DATA:ephemeral": count("OS-FLV-EXT-DATA:ephemeral"),
  swap: count("swap"),
  rxtx_factor: typed(["number", "string"], {
    pattern: "^[0-9]+(\\.[0-9]+)?$",
    exclusiveMinimum: 0,
    maximum: 3.4e38,
  }),
  "os-flavor-access:is_public": typed(["boolean", "string"]),
}
const required = ["name", "ram", "vcpus", "disk"] as const

const createBody = versions({
  "2.1": bodyOf("flavor", created, required),
  "2.55": bodyOf("flavor", { ...created, description }, required),
})

function readNumber(key: keyof typeof sizes, given: number | string): number {
  const [value, min] = [Number(given), leastOf(key)]
  if (!Number.isFinite(value) || value < min || value > 2_147_483_647) {
    throw invalid(
      key,
      `Invalid input for field/attribute ${key}. Value: ${given}. It must be from ${min} to 2147483647.`,
    )
  }
  return value
}

function readBoolean(key: string, given: boolean | string): boolean {
  const found = typeof given === "boolean" ? given : booleanWord(given)
  if (found !== undefined) return found
  throw invalid(key, `Invalid input for field/attribute ${key}. Value: ${given}. It must be true or false.`)
}

async function create(ctx: Ctx, req: WireRequest<BodyOf<typeof createBody>>) {
  const body = req.body.flavor
  const rxtxFactor = Number(body.rxtx_factor ?? 1)
  if (!(rxtxFactor > 0))
    throw invalid("rxtx_factor", "Invalid input for field/attribute rxtx_factor. It must be greater than 0.")
  const ephemeral = "OS-FLV-EXT-DATA:ephemeral"
  const isPublic = "os-flavor-access:is_public"
  const flavor = await createFlavor(ctx, {
    ...(body.id !== undefined && body.id !== null && body.id !== "auto" && { flavorId: String(body.id) }),
    name: body.name,
    description: body.description ?? null,
    vcpus: readNumber("vcpus", body.vcpus),
    ramMib: readNumber("ram", body.ram),
    diskGib: readNumber("disk", body.disk),
    ephemeralGib: readNumber(ephemeral, body[ephemeral] ?? 0),
    swapMib: readNumber("swap", body.swap ?? 0),
    rxtxFactor,
    isPublic: readBoolean(isPublic, body[isPublic] ?? true),
  })
  return showOne(ctx, req, flavor)
}

const specs = (options: TObjectOptions = {}) =>
  dictionary("^[a-zA-Z0-9-_:. ]{1,255}$", typed(["string", "number"], { maxLength: 255 }), options)

function readSpecs(given: Readonly<Record<string, string | number>>): Record<string, string> {
  return Object.fromEntries(Object.entries(given).map(([key, value]) => [key, String(value)]))
}

function viewAccess({ flavor, projectIds }: FlavorAccess) {
  return {
    flavor_access: projectIds.map((projectId) => ({ flavor_id: flavor.flavorId, tenant_id: projectId })),
  }
}

const tenant = closed({ tenant: Type.String({ minLength: 1, maxLength: 255, pattern: "^[a-zA-Z0-9-]*$" }) }, [
  "tenant",
])

const flavorOf = (req: WireRequest) => ({ flavorId: req.params.flavor_id ?? "" })

const manageRoutes: Route[] = [
  route({
    method: "POST",
    path: "/flavors",
    operation: createFlavor,
    body: createBody,
    told: one,
    handler: create,
  }),
  route({
    method: "PUT",
    path: "/flavors/{flavor_id}",
    operation: updateFlavor,
    min: "2.55",
    body: bodyOf("flavor", { description }, ["description"]),
    told: one,
    handler: async (ctx, req) => {
      const flavor = await updateFlavor(ctx, { ...flavorOf(req), changes: req.body.flavor })
      return showOne(ctx, req, flavor)
    },
  }),
  route({
    method: "DELETE",
    path: "/flavors/{flavor_id}",
    operation: deleteFlavor,
    status: 202,
    handler: (ctx, req) => deleteFlavor(ctx, flavorOf(req)),
  }),
  route({
    method: "GET",
    path: "/flavors/{flavor_id}/os-flavor-access",
    operation: listFlavorAccess,
    told: access,
    handler: async (ctx, req) => viewAccess(await listFlavorAccess(ctx, flavorOf(req))),
  }),
  route({
    method: "POST",
    path: "/flavors/{flavor_id}/action",
    actions: { addTenantAccess: addFlavorAccess, removeTenantAccess: removeFlavorAccess },
    told: access,
    body: closed({ addTenantAccess: tenant, removeTenantAccess: tenant }, [], {
      minProperties: 1,
      maxProperties: 1,
    }),
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
    told: is.one("extra_specs", textMap),
    handler: async (ctx, req) => ({
      extra_specs: await listFlavorExtraSpecs(ctx, flavorOf(req)),
    }),
  }),
  route({
    method: "POST",
    path: "/flavors/{flavor_id}/os-extra_specs",
    operation: createFlavorExtraSpecs,
    told: is.one("extra_specs", textMap),
    body: bodyWith("extra_specs", specs()),
    handler: async (ctx, req) => {
      const given = readSpecs(req.body.extra_specs)
      const isStrict = atLeast(req.version, "2.86")
      await createFlavorExtraSpecs(ctx, { ...flavorOf(req), specs: given, isStrict })
      return { extra_specs: given }
    },
  }),
  route({
    method: "GET",
    path: "/flavors/{flavor_id}/os-extra_specs/{key}",
    operation: showFlavorExtraSpec,
    told: { answer: textMap },
    handler: async (ctx, req) => {
      const key = req.params.key ?? ""
      return { [key]: await showFlavorExtraSpec(ctx, { ...flavorOf(req), key }) }
    },
  }),
  route({
    method: "PUT",
    path: "/flavors/{flavor_id}/os-extra_specs/{key}",
    operation: updateFlavorExtraSpec,
    told: { answer: textMap },
    body: specs({ minProperties: 1, maxProperties: 1 }),
    handler: async (ctx, req) => {
      const given = readSpecs(req.body)
      const key = req.params.key ?? ""
      if (given[key] === undefined) throw invalid(key, "Request body and URI mismatch")
      const isStrict = atLeast(req.version, "2.86")
      await updateFlavorExtraSpec(ctx, { ...flavorOf(req), specs: given, isStrict })
      return given
    },
  }),
  route({
    method: "DELETE",
    path: "/flavors/{flavor_id}/os-extra_specs/{key}",
    operation: deleteFlavorExtraSpec,
    status: 200,
    handler: (ctx, req) => deleteFlavorExtraSpec(ctx, { ...flavorOf(req), key: req.params.key ?? "" }),
  }),
]

export const flavorRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/flavors",
    operation: listFlavors,
    told: { ...toldQuery(listParameters), ...page("flavors", briefFlavor.shows) },
    handler: (ctx, req) => list(ctx, req, false),
  }),
  route({
    method: "GET",
    path: "/flavors/detail",
    operation: listFlavors,
    told: { ...toldQuery(listParameters), ...page("flavors", shownFlavor.shows) },
    handler: (ctx, req) => list(ctx, req, true),
  }),
  route({
    method: "GET",
    path: "/flavors/{flavor_id}",
    operation: showFlavor,
    told: one,
    handler: async (ctx, req) => showOne(ctx, req, await showFlavor(ctx, flavorOf(req))),
  }),
  ...manageRoutes,
  ...specRoutes,
]
