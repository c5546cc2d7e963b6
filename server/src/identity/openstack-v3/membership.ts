// Routes of what belongs to something: it is put there, looked for and taken away, and no answer has a body.
import type { Ctx } from "../../platform/context/context.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import type { Operation } from "../../platform/operation/operation.ts"

interface Verbs<I> {
  create: Operation<I, unknown>
  check: Operation<I, unknown>
  remove: Operation<I, unknown>
}

export function membershipRoutes<I>(
  path: string,
  { create, check, remove }: Verbs<I>,
  input: (req: WireRequest) => I,
): Route[] {
  const of = (operation: Operation<I, unknown>) => ({
    path,
    operation,
    status: 204,
    handler: (ctx: Ctx, req: WireRequest) => operation(ctx, input(req)),
  })
  return [
    route({ method: "PUT", ...of(create) }),
    route({ method: "GET", ...of(check) }),
    route({ method: "DELETE", ...of(remove) }),
  ]
}
