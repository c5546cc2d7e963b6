// Routes that show a list, or one thing, as a view says.
import { one } from "../../api/openstack/shape.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import type { Operation } from "../../platform/operation/operation.ts"
import type { View } from "./resource.ts"
import { listOf } from "./told.ts"
import { listReply } from "./view.ts"

type Input<I> = (req: WireRequest) => I

export function listRoute<I, T>(
  path: string,
  operation: Operation<I, readonly T[]>,
  input: Input<I>,
  [name, view]: [name: string, view: View<T>],
): Route {
  return route({
    method: "GET",
    path,
    operation,
    told: listOf(name, view.shows),
    handler: async (ctx, req) => listReply(ctx, req, name, await operation(ctx, input(req)), view),
  })
}

export function thingRoute<I, T>(
  path: string,
  operation: Operation<I, T>,
  input: Input<I>,
  [name, view]: [name: string, view: View<T>],
): Route {
  return route({
    method: "GET",
    path,
    operation,
    told: one(name, view.shows),
    handler: async (ctx, req) => ({ [name]: view(ctx, req, await operation(ctx, input(req))) }),
  })
}
