import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { tagVerbs } from "../index.ts"
import { badRequest } from "./bad-request.ts"
import { wrapped } from "./describe.ts"
import { tags as tagsKind } from "./kinds.ts"

/** Collection → parameter of its path, and noun. */
const tagged: readonly { path: string; singular: string; noun: keyof typeof tagVerbs }[] = [
  { path: "/networks", singular: "network", noun: "network" },
  { path: "/subnets", singular: "subnet", noun: "subnet" },
  { path: "/ports", singular: "port", noun: "port" },
  { path: "/routers", singular: "router", noun: "router" },
  { path: "/floatingips", singular: "floatingip", noun: "floatingIp" },
  { path: "/security-groups", singular: "security_group", noun: "securityGroup" },
  { path: "/subnetpools", singular: "subnetpool", noun: "subnetPool" },
  { path: "/policies", singular: "policy", noun: "qosPolicy" },
  // By this one Neutron's documents and its SDK find them.
  { path: "/qos/policies", singular: "policy", noun: "qosPolicy" },
]

const body = { title: "Tags", ...wrapped("tags", tagsKind.schema) }

function readTags(body: unknown): string[] {
  const tags: unknown = typeof body === "object" && body !== null ? Reflect.get(body, "tags") : undefined
  if (tags === undefined) throw badRequest("Invalid input for operation: Invalid tags body.", "InvalidInput")
  // The kind gives what its name says.
  return tagsKind.read(tags, "tags") as string[]
}

function routesFor({ path, singular, noun }: (typeof tagged)[number]): Route[] {
  const all = `${path}/{${singular}_id}/tags`
  const one = `${all}/{tag}`
  const verbs = tagVerbs[noun]
  const told = { body, answer: body }
  const id = (req: WireRequest) => req.params[`${singular}_id`] ?? ""
  const idAndTag = (req: WireRequest) => ({ id: id(req), tag: req.params.tag ?? "" })
  return [
    route({
      method: "GET",
      path: all,
      operation: verbs.list,
      told: { answer: body },
      handler: async (ctx, req) => ({ tags: await verbs.list(ctx, { id: id(req) }) }),
    }),
    route({
      method: "POST",
      path: all,
      operation: verbs.create,
      told,
      handler: async (ctx, req) => {
        // What was sent, as Neutron answers; the thing shows the others too.
        const tags = readTags(req.body)
        await verbs.create(ctx, { id: id(req), tags })
        return { tags }
      },
    }),
    route({
      method: "PUT",
      path: all,
      operation: verbs.replace,
      told,
      handler: async (ctx, req) => ({
        tags: await verbs.replace(ctx, { id: id(req), tags: readTags(req.body) }),
      }),
    }),
    route({
      method: "DELETE",
      path: all,
      operation: verbs.clear,
      handler: async (ctx, req) => {
        await verbs.clear(ctx, { id: id(req) })
      },
    }),
    route({
      method: "GET",
      path: one,
      operation: verbs.check,
      status: 204,
      handler: async (ctx, req) => await verbs.check(ctx, idAndTag(req)),
    }),
    route({
      method: "PUT",
      path: one,
      operation: verbs.add,
      status: 201,
      handler: async (ctx, req) => {
        await verbs.add(ctx, idAndTag(req))
      },
    }),
    route({
      method: "DELETE",
      path: one,
      operation: verbs.remove,
      handler: async (ctx, req) => {
        await verbs.remove(ctx, idAndTag(req))
      },
    }),
  ]
}

export const tagRoutes: Route[] = tagged.flatMap(routesFor)
