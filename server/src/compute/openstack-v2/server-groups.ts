import { Type } from "typebox"
import { all, count, from, one, rare, textMap, texts, until } from "../../api/openstack/shape.ts"
import { named, since, view } from "../../api/openstack/view.ts"
import type { Ctx } from "../../platform/context/context.ts"
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
  serverGroupNoun,
  showServerGroup,
} from "../index.ts"
import { checkQueryNames, toldQuery } from "./query-names.ts"
import { bodyOf, name } from "./schema-parts.ts"

const { fields } = serverGroupNoun
const maxOf = ({ maxServersPerHost: max }: ServerGroup) => (max === null ? {} : { max_server_per_host: max })
const serverGroup = view<ServerGroup>("ServerGroup", {
  ...named(fields, { id: "id", name: "name", members: "memberIds" }),
  policies: [until("2.64", texts), ({ policy }) => [policy]],
  metadata: [until("2.64", textMap), () => ({})],
  ...since("2.64", named(fields, { policy: "policy" })),
  rules: [from("2.64", Type.Object({ max_server_per_host: rare(count) })), maxOf],
  ...since("2.13", named(fields, { project_id: "projectId", user_id: "userId" })),
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
  return { server_group: serverGroup.show(ctx, req, group) }
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
  return { server_groups: found.map((group) => serverGroup.show(ctx, req, group)) }
}

const idOf = (req: WireRequest) => ({ id: req.params.server_group_id ?? "" })

export const serverGroupRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/os-server-groups",
    operation: listServerGroups,
    told: { ...toldQuery(listParameters), ...all("server_groups", serverGroup.shows) },
    handler: list,
  }),
  route({
    method: "POST",
    path: "/os-server-groups",
    operation: createServerGroup,
    body: createBody,
    told: one("server_group", serverGroup.shows),
    handler: create,
  }),
  route({
    method: "GET",
    path: "/os-server-groups/{server_group_id}",
    operation: showServerGroup,
    told: one("server_group", serverGroup.shows),
    handler: async (ctx, req) => ({
      server_group: serverGroup.show(ctx, req, await showServerGroup(ctx, idOf(req))),
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
