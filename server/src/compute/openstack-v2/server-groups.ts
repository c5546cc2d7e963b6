import { Type } from "typebox"
import * as is from "../../api/openstack/shape.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { atLeast, type Microversion } from "../../platform/http/microversion.ts"
import { boundedLimit } from "../../platform/http/paging.ts"
import { queryInteger } from "../../platform/http/query.ts"
import { type BodyOf, versions } from "../../platform/http/versions.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { closed, typed, word } from "../../platform/schema/make.ts"
import {
  createServerGroup,
  deleteServerGroup,
  type GroupPolicy,
  groupPolicies,
  listServerGroups,
  type ServerGroup,
  showServerGroup,
} from "../index.ts"
import { checkQueryNames, toldQuery } from "./query-names.ts"
import { bodyOf, name } from "./schema-parts.ts"

const { all, count, each, from, one, rare, shape, text, textMap, texts, until } = is

function view(version: Microversion, group: ServerGroup) {
  const max = group.maxServersPerHost
  return {
    id: group.id,
    name: group.name,
    ...(atLeast(version, "2.64")
      ? { policy: group.policy, rules: max === null ? {} : { max_server_per_host: max } }
      : { policies: [group.policy], metadata: {} }),
    members: group.memberIds,
    ...(atLeast(version, "2.13") && { project_id: group.projectId, user_id: group.userId }),
  }
}

const serverGroup = shape("ServerGroup", {
  ...{ id: text, name: text, members: texts },
  ...{ policies: until("2.64", texts), metadata: until("2.64", textMap) },
  policy: from("2.64", text),
  rules: from("2.64", Type.Object({ max_server_per_host: rare(count) })),
  ...each("project_id user_id", from("2.13", text)),
})

/** One policy in a list, before 2.64. */
const oldBody = (policies: readonly GroupPolicy[]) =>
  bodyOf("server_group", { name, policies: Type.Array(word(policies), { minItems: 1, maxItems: 1 }) }, [
    "name",
    "policies",
  ])

const rules = closed({
  max_server_per_host: typed(["integer", "string"], {
    pattern: "^0*[1-9][0-9]*$",
    minLength: 1,
    maxLength: 9,
    minimum: 1,
    maximum: 2_147_483_647,
  }),
})

const createBody = versions({
  "2.1": oldBody(["affinity", "anti-affinity"]),
  "2.15": oldBody(groupPolicies),
  "2.64": bodyOf("server_group", { name, policy: word(groupPolicies), rules }, ["name", "policy"]),
})

async function create(ctx: Ctx, req: WireRequest<BodyOf<typeof createBody>>) {
  const body = req.body.server_group
  const max = body.rules?.max_server_per_host
  const group = await createServerGroup(ctx, {
    name: body.name,
    // One of the two is there: the schema of the version says which.
    policy: body.policy ?? body.policies?.[0] ?? "affinity",
    ...(max !== undefined && { maxServersPerHost: Number(max) }),
  })
  return { server_group: view(req.version, group) }
}

const listParameters = ["all_projects", "limit", "offset"]

async function list(ctx: Ctx, req: WireRequest) {
  checkQueryNames(req, listParameters)
  const asked = queryInteger(req.query, "limit", { min: 0 })
  const found = await listServerGroups(ctx, {
    // The parameter counts by being there, whatever its value.
    isOfAllProjects: req.query.all_projects !== undefined,
    query: { page: { limit: boundedLimit(asked, ctx.config.compute.listLimitMost) } },
    offset: queryInteger(req.query, "offset", { min: 0 }) ?? 0,
  })
  return { server_groups: found.map((group) => view(req.version, group)) }
}

const idOf = (req: WireRequest) => ({ id: req.params.server_group_id ?? "" })

export const serverGroupRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/os-server-groups",
    operation: listServerGroups,
    told: { ...toldQuery(listParameters), ...all("server_groups", serverGroup) },
    handler: list,
  }),
  route({
    method: "POST",
    path: "/os-server-groups",
    operation: createServerGroup,
    body: createBody,
    told: one("server_group", serverGroup),
    handler: create,
  }),
  route({
    method: "GET",
    path: "/os-server-groups/{server_group_id}",
    operation: showServerGroup,
    told: one("server_group", serverGroup),
    handler: async (ctx, req) => ({
      server_group: view(req.version, await showServerGroup(ctx, idOf(req))),
    }),
  }),
  route({
    method: "DELETE",
    path: "/os-server-groups/{server_group_id}",
    operation: deleteServerGroup,
    status: 204,
    handler: async (ctx, req) => await deleteServerGroup(ctx, idOf(req)),
  }),
]
