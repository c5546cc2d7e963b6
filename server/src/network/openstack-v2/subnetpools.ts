import { type Route, route } from "../../platform/http/wire.ts"
import {
  addPoolPrefixes,
  createSubnetPools,
  deleteSubnetPool,
  getSubnetPool,
  listSubnetPools,
  removePoolPrefixes,
  subnetPoolNoun,
  updateSubnetPool,
} from "../index.ts"
import { badRequest } from "./bad-request.ts"
import { wrapped } from "./describe.ts"
import { filledText, type Kind, prefix } from "./kinds.ts"
import { resource, resourceRoutes } from "./resource.ts"

/** A single prefix may come as a bare text, as old clients send it. */
const prefixes: Kind = {
  schema: { type: "array", items: prefix.schema },
  read: (value, name) => {
    const list: unknown[] = typeof value === "string" ? [value] : Array.isArray(value) ? value : []
    if (list.length === 0)
      throw badRequest(`Invalid input for ${name}. Reason: a list of prefixes is needed.`)
    return list.map((item) => prefix.read(item, name))
  },
}

const numberText = { type: "string", pattern: "^[0-9]+$" }

const subnetPools = resource({
  noun: subnetPoolNoun,
  singular: "subnetpool",
  // Clients send numbers as texts here, and read texts.
  particulars: {
    name: { kind: filledText() },
    prefixes: { kind: prefixes },
    default_prefixlen: { shows: numberText, view: (pool) => String(pool.defaultPrefixlen) },
    min_prefixlen: { shows: numberText, view: (pool) => String(pool.minPrefixlen) },
    max_prefixlen: { shows: numberText, view: (pool) => String(pool.maxPrefixlen) },
  },
  list: listSubnetPools,
  get: getSubnetPool,
  create: createSubnetPools,
  update: updateSubnetPool,
  remove: deleteSubnetPool,
})

const prefixesBody = { title: "Prefixes", ...wrapped("prefixes", prefixes.schema) }

function prefixRoute(how: "add" | "remove"): Route {
  const operation = how === "add" ? addPoolPrefixes : removePoolPrefixes
  return route({
    method: "PUT",
    path: `/subnetpools/{subnetpool_id}/${how}_prefixes`,
    operation,
    told: { body: prefixesBody, answer: prefixesBody },
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
