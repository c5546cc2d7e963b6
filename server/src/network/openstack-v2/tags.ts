import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import {
  addTag,
  checkTag,
  createTags,
  listTags,
  removeTags,
  replaceTags,
  type TaggedNounName,
} from "../index.ts"
import { badRequest } from "./attributes.ts"
import { tags as tagsKind } from "./kinds.ts"

/** Collection → parameter of its path, noun and rule. */
const tagged: readonly { path: string; singular: string; noun: TaggedNounName }[] = [
  { path: "/networks", singular: "network", noun: "network" },
  { path: "/subnets", singular: "subnet", noun: "subnet" },
  { path: "/ports", singular: "port", noun: "port" },
  { path: "/routers", singular: "router", noun: "router" },
  { path: "/floatingips", singular: "floatingip", noun: "floatingIp" },
  { path: "/security-groups", singular: "security_group", noun: "securityGroup" },
  { path: "/subnetpools", singular: "subnetpool", noun: "subnetPool" },
]

function readTags(body: unknown): string[] {
  const tags: unknown = typeof body === "object" && body !== null ? Reflect.get(body, "tags") : undefined
  if (tags === undefined) throw badRequest("Invalid input for operation: Invalid tags body.", "InvalidInput")
  // The kind gives what its name says.
  return tagsKind.read(tags, "tags") as string[]
}

function routesFor({ path, singular, noun }: (typeof tagged)[number]): Route[] {
  const all = `${path}/{${singular}_id}/tags`
  const one = `${all}/{tag}`
  const subject = (req: WireRequest) => ({ noun, id: req.params[`${singular}_id`] ?? "" })
  const tag = (req: WireRequest) => req.params.tag ?? ""
  const get = [`get_${singular}`]
  const create = [`create_${singular}:tags`]
  const update = [`update_${singular}:tags`]
  const remove = [`delete_${singular}:tags`]
  return [
    route({
      method: "GET",
      path: all,
      policy: get,
      handler: async (ctx, req) => ({ tags: await listTags(ctx, subject(req)) }),
    }),
    route({
      method: "POST",
      path: all,
      policy: create,
      status: 201,
      handler: async (ctx, req) => {
        // What was sent, as Neutron answers; the thing shows the others too.
        const tags = readTags(req.body)
        await createTags(ctx, { ...subject(req), tags })
        return { tags }
      },
    }),
    route({
      method: "PUT",
      path: all,
      policy: update,
      handler: async (ctx, req) => ({
        tags: await replaceTags(ctx, { ...subject(req), tags: readTags(req.body) }),
      }),
    }),
    route({
      method: "DELETE",
      path: all,
      policy: remove,
      status: 204,
      handler: async (ctx, req) => {
        await removeTags(ctx, subject(req))
      },
    }),
    route({
      method: "GET",
      path: one,
      policy: get,
      status: 204,
      handler: async (ctx, req) => await checkTag(ctx, { ...subject(req), tag: tag(req) }),
    }),
    route({
      method: "PUT",
      path: one,
      policy: update,
      status: 201,
      handler: async (ctx, req) => {
        await addTag(ctx, { ...subject(req), tag: tag(req) })
      },
    }),
    route({
      method: "DELETE",
      path: one,
      policy: remove,
      status: 204,
      handler: async (ctx, req) => {
        await removeTags(ctx, { ...subject(req), tag: tag(req) })
      },
    }),
  ]
}

export const tagRoutes: Route[] = tagged.flatMap(routesFor)
