import { Type } from "typebox"
import * as is from "../../api/openstack/shape.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { atLeast } from "../../platform/http/microversion.ts"
import { queryAll } from "../../platform/http/query.ts"
import { versions } from "../../platform/http/versions.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { mapOf } from "../../platform/schema/make.ts"
import { type Answer, type Candidate, listAllocationCandidates, type RequestGroup } from "../index.ts"
import { queryKeyTwice, queryValueBad, queryValueMissing } from "./faults.ts"
import {
  checkQuery,
  first,
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

const { count, from, many, mapFor, shape, text, textOrNull } = is

const parameters = [
  { name: "resources", from: "1.10" },
  { name: "limit", from: "1.16", schema: { type: "integer", minimum: 1 } },
  { name: "required", from: "1.17", schema: texts },
  { name: "member_of", from: "1.21", schema: texts },
  { name: "group_policy", from: "1.25", schema: { type: "string", enum: ["none", "isolate"] } },
  { name: "in_tree", from: "1.31", schema: uuidText },
  { name: "root_required", from: "1.35" },
  { name: "same_subtree", from: "1.36", schema: texts },
]

const asked = Type.Object({ resources: mapOf(count) })
const oldAsked = Type.Object({ resource_provider: Type.Object({ uuid: text }), resources: mapOf(count) })
const request = shape("AllocationRequest", {
  allocations: versions({ "": Type.Array(oldAsked), "1.12": mapOf(asked) }),
  mappings: from("1.34", mapOf(is.texts)),
})
const summary = shape("ProviderSummary", {
  resources: mapOf(Type.Object({ capacity: count, used: count })),
  traits: from("1.17", is.texts),
  ...{ parent_provider_uuid: from("1.29", textOrNull), root_provider_uuid: from("1.29", text) },
})
const candidates = shape("AllocationCandidates", {
  allocation_requests: many(request),
  provider_summaries: mapFor(summary),
})

export const candidateRoutes: Route[] = [
  route({
    method: "GET",
    path: "/allocation_candidates",
    operation: listAllocationCandidates,
    told: { ...toldQuery(parameters), answer: candidates },
    min: "1.10",
    handler: list,
  }),
]

async function list(ctx: Ctx, req: WireRequest): Promise<unknown> {
  checkParameters(req)
  const groups = readGroups(req)
  const policy = first(req, "group_policy")
  if (policy !== undefined && policy !== "none" && policy !== "isolate")
    throw invalid(
      "group_policy",
      `Invalid query string parameters: '${policy}' is not one of ['none', 'isolate']`,
    )
  if (policy === undefined && groups.filter((g) => g.suffix !== "").length > 1) {
    const message =
      'The "group_policy" parameter is required when specifying more than one "resources{N}" parameter.'
    throw invalid("group_policy", message)
  }
  const root = readRootTraits(req)
  const found = await listAllocationCandidates(ctx, {
    groups,
    isIsolated: policy === "isolate",
    rootRequired: root.required,
    rootForbidden: root.forbidden,
    sameSubtrees: readSubtrees(req, groups),
    knowsTrees: atLeast(req.version, "1.29"),
    limit: readLimit(req),
  })
  const body = {
    allocation_requests: found.candidates.map((candidate) => viewCandidate(req, candidate)),
    provider_summaries: viewProviders(req, groups, found),
  }
  return body
}

/** `resources`, `resources1`, since 1.33 `resources_NET`. */
function groupPattern(req: WireRequest): RegExp {
  const suffix = atLeast(req.version, "1.33")
    ? "[a-zA-Z0-9_-]{1,64}"
    : atLeast(req.version, "1.25")
      ? "[1-9][0-9]*"
      : "(?!)"
  return new RegExp(`^(resources|required|member_of|in_tree)(${suffix})?$`)
}

function checkParameters(req: WireRequest): void {
  const known = knownAt(req, parameters)
  const prefixes = known.filter((name) => /^(resources|required|member_of|in_tree)$/.test(name))
  const pattern = groupPattern(req)
  for (const name of Object.keys(req.query)) {
    const isGroup = prefixes.includes(pattern.exec(name)?.[1] ?? "")
    if (!isGroup) checkQuery({ ...req, query: { [name]: req.query[name] } }, known)
  }
  if (!atLeast(req.version, "1.25") && req.query.resources === undefined)
    throw invalid("resources", "Invalid query string parameters: 'resources' is a required property")
}

function readGroups(req: WireRequest): RequestGroup[] {
  const pattern = groupPattern(req)
  const suffixes = new Set(
    Object.keys(req.query).flatMap((name) => {
      const match = pattern.exec(name)
      return match ? [match[2] ?? ""] : []
    }),
  )
  const groups = [...suffixes].map((suffix) => readGroup(req, suffix))
  if (atLeast(req.version, "1.36")) checkResourceless(req, groups)
  else checkOrphans(groups)
  for (const group of groups) {
    const clash = group.requiredTraits.find((any) =>
      any.every((trait) => group.forbiddenTraits.includes(trait)),
    )
    if (clash) {
      throw invalid(
        "required",
        "Conflicting required and forbidden traits found in the following traits keys: " +
          `required${group.suffix}: (${[...clash].sort().join(", ")})`,
      )
    }
  }
  return groups
}

function readGroup(req: WireRequest, suffix: string): RequestGroup {
  const resources = one(req, `resources${suffix}`)
  const { required, forbidden } = readTraits(req, `required${suffix}`)
  return {
    suffix,
    resources: resources === undefined ? {} : readResources(resources),
    requiredTraits: required,
    forbiddenTraits: forbidden,
    ...readMemberOf(req, `member_of${suffix}`),
    inTreeOf: readUuid(req, `in_tree${suffix}`) ?? null,
  }
}

const isEmpty = (group: RequestGroup) => Object.keys(group.resources).length === 0

/** Since 1.36 a group may ask for traits alone, when it is tied to others by same_subtree. */
function checkResourceless(req: WireRequest, groups: readonly RequestGroup[]): void {
  const empty = groups.filter(isEmpty)
  if (empty.length === groups.length)
    throw queryValueMissing("There must be at least one resources or resources[$S] parameter.")
  const tied = new Set(queryAll(req.query, "same_subtree").flatMap((value) => value.split(",")))
  const loose = empty.filter((group) => !tied.has(group.suffix)).map((group) => group.suffix)
  if (loose.length > 0) {
    throw queryValueBad(
      "Resourceless suffixed group request should be specified in `same_subtree` query param: bad group(s) - " +
        `${JSON.stringify(loose)}.`,
    )
  }
}

function checkOrphans(groups: readonly RequestGroup[]): void {
  const orphans = (has: (group: RequestGroup) => boolean) =>
    groups.filter((group) => isEmpty(group) && has(group))
  const traits = orphans((group) => group.requiredTraits.length > 0)
  if (traits.length > 0) {
    throw invalid(
      "required",
      "All traits parameters must be associated with resources.  Found the following orphaned traits keys: " +
        traits.map((group) => `required${group.suffix}`).join(", "),
    )
  }
  const members = orphans((group) => group.memberOf.length + group.notMemberOf.length > 0)
  if (members.length > 0) {
    throw invalid(
      "member_of",
      "All member_of parameters must be associated with resources. Found the following orphaned member_of keys: " +
        members.map((group) => `member_of${group.suffix}`).join(", "),
    )
  }
  if (groups.some(isEmpty)) throw invalid("resources", "All request groups must specify resources.")
  if (groups.length === 0) {
    const message = "At least one request group (`resources` or `resources{$S}`) is required."
    throw invalid("resources", message)
  }
}

function readSubtrees(req: WireRequest, groups: readonly RequestGroup[]): string[][] {
  const known = groups.map((group) => group.suffix)
  return queryAll(req.query, "same_subtree").map((value) => {
    const suffixes = value.split(",").map((suffix) => suffix.trim())
    if (suffixes.some((suffix) => suffix === "")) {
      throw queryValueBad(
        "Empty string (unsuffixed group) can not be specified in `same_subtree` " +
          `query parameter: ${value}`,
      )
    }
    const wrong = suffixes.filter((suffix) => !known.includes(suffix))
    if (wrong.length > 0) {
      throw queryValueBad(
        `Real suffixes should be specified in \`same_subtree\`: ${JSON.stringify(wrong)} not found in ` +
          `${JSON.stringify(known)}.`,
      )
    }
    return suffixes
  })
}

function readRootTraits(req: WireRequest): { required: string[]; forbidden: string[] } {
  const all = queryAll(req.query, "root_required")
  if (all.length > 1) throw queryKeyTwice("root_required")
  const [value] = all
  if (value === undefined) return { required: [], forbidden: [] }
  const traits = value.split(",").map((trait) => trait.trim())
  if (traits.some((trait) => trait.replace(/^!+/, "") === "")) {
    throw queryValueBad(
      "Invalid query string parameters: Expected 'root_required' parameter value of the form: " +
        `HW_CPU_X86_VMX,!CUSTOM_MAGIC. Got: ${value}`,
    )
  }
  const required = traits.filter((trait) => !trait.startsWith("!"))
  const forbidden = traits.filter((trait) => trait.startsWith("!")).map((trait) => trait.replace(/^!+/, ""))
  const clash = required.filter((trait) => forbidden.includes(trait))
  if (clash.length > 0)
    throw queryValueBad(
      `Conflicting required and forbidden traits found in root_required: ${clash.join(", ")}`,
    )
  return { required, forbidden }
}

function readLimit(req: WireRequest): number | null {
  const text = first(req, "limit")
  if (text === undefined) return null
  if (!/^[1-9][0-9]*$/.test(text))
    throw invalid("limit", `Invalid query string parameters: '${text}' does not match '^[1-9][0-9]*$'`)
  return Math.min(Number(text), Number.MAX_SAFE_INTEGER)
}

function viewCandidate(req: WireRequest, { allocations, mappings }: Candidate): Record<string, unknown> {
  const entries = [...allocations].map(([id, resources]) => ({
    id,
    resources: Object.fromEntries(resources),
  }))
  if (!atLeast(req.version, "1.12")) {
    return {
      allocations: entries.map(({ id, resources }) => ({ resource_provider: { uuid: id }, resources })),
    }
  }
  return {
    allocations: Object.fromEntries(entries.map(({ id, resources }) => [id, { resources }])),
    ...(atLeast(req.version, "1.34")
      ? { mappings: Object.fromEntries([...mappings].map(([suffix, ids]) => [suffix, [...ids]])) }
      : {}),
  }
}

function viewProviders(req: WireRequest, groups: readonly RequestGroup[], { providers }: Answer) {
  const asked = new Set(groups.flatMap((group) => Object.keys(group.resources)))
  const showsAll = atLeast(req.version, "1.27")
  return Object.fromEntries(
    providers.map((node) => {
      const rooms = [...node.rooms].filter(([name]) => showsAll || asked.has(name))
      const resources = rooms.map(([name, { capacity, used }]) => [name, { capacity, used }])
      return [
        node.id,
        {
          resources: Object.fromEntries(resources),
          ...(atLeast(req.version, "1.17") ? { traits: [...node.traits] } : {}),
          ...(atLeast(req.version, "1.29")
            ? { parent_provider_uuid: node.parentId, root_provider_uuid: node.rootId }
            : {}),
        },
      ]
    }),
  )
}
