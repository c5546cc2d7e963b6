import { type Route, route } from "../../platform/http/wire.ts"
import {
  addPoolPrefixes,
  createSubnetPools,
  deleteSubnetPool,
  getSubnetPool,
  listSubnetPools,
  removePoolPrefixes,
  type SubnetPool,
  updateSubnetPool,
} from "../index.ts"
import { type Attributes, badRequest, standardAttributes } from "./attributes.ts"
import {
  boolean,
  filledText,
  type Kind,
  nonNegative,
  orNull,
  prefix,
  standardKinds,
  text,
  uuid,
} from "./kinds.ts"
import { type Resource, resourceRoutes } from "./resource.ts"

/** A single prefix may come as a bare text, as old clients send it. */
const prefixes: Kind = {
  read: (value, name) => {
    const list: unknown[] = typeof value === "string" ? [value] : Array.isArray(value) ? value : []
    if (list.length === 0)
      throw badRequest(`Invalid input for ${name}. Reason: a list of prefixes is needed.`)
    return list.map((item) => prefix.read(item, name))
  },
}

/** Clients send numbers as texts here. */
const attributes: Attributes = {
  ...standardAttributes(standardKinds, { description: text() }),
  name: { kind: filledText(), post: true, put: true, required: true, filter: true, sort: true },
  prefixes: { kind: prefixes, post: true, put: true, required: true },
  ip_version: { kind: text(), filter: true, sort: true },
  default_prefixlen: {
    kind: nonNegative,
    post: true,
    put: true,
    filter: true,
    sort: true,
    view: (p: SubnetPool) => String(p.defaultPrefixlen),
  },
  min_prefixlen: {
    kind: nonNegative,
    post: true,
    put: true,
    filter: true,
    sort: true,
    view: (p: SubnetPool) => String(p.minPrefixlen),
  },
  max_prefixlen: {
    kind: nonNegative,
    post: true,
    put: true,
    filter: true,
    sort: true,
    view: (p: SubnetPool) => String(p.maxPrefixlen),
  },
  default_quota: { kind: orNull(nonNegative), post: true, put: true, filter: true, sort: true },
  is_default: { kind: boolean, post: true, put: true, filter: true, sort: true },
  shared: { kind: boolean, post: true, filter: true },
  address_scope_id: { kind: orNull(uuid), post: true, put: true, filter: true, sort: true },
}

const subnetPools: Resource<SubnetPool> = {
  singular: "subnetpool",
  plural: "subnetpools",
  path: "/subnetpools",
  operations: {
    get: getSubnetPool,
    create: createSubnetPools,
    update: updateSubnetPool,
    remove: deleteSubnetPool,
  },
  attributes,
  list: listSubnetPools,
  get: (ctx, subnetPoolId) => getSubnetPool(ctx, { subnetPoolId }),
  create: (ctx, inputs) => createSubnetPools(ctx, { subnetPools: inputs }),
  update: (ctx, subnetPoolId, changes, expected) =>
    updateSubnetPool(ctx, { subnetPoolId, changes, ...expected }),
  remove: (ctx, subnetPoolId, expected) => deleteSubnetPool(ctx, { subnetPoolId, ...expected }),
}

function prefixRoute(how: "add" | "remove"): Route {
  const operation = how === "add" ? addPoolPrefixes : removePoolPrefixes
  return route({
    method: "PUT",
    path: `/subnetpools/{subnetpool_id}/${how}_prefixes`,
    operation,
    handler: async (ctx, req) => {
      const given: unknown =
        typeof req.body === "object" && req.body !== null ? Reflect.get(req.body, "prefixes") : undefined
      return {
        prefixes: await operation(ctx, {
          subnetPoolId: req.params.subnetpool_id ?? "",
          // The kind gives what its name says.
          prefixes: prefixes.read(given, "prefixes") as string[],
        }),
      }
    },
  })
}

export const subnetPoolRoutes: Route[] = [
  ...resourceRoutes(subnetPools),
  prefixRoute("add"),
  prefixRoute("remove"),
]
