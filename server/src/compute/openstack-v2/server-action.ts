// What an action of POST /servers/{id}/action is made of.
import type { Ctx } from "../../platform/context/context.ts"
import type { Microversion } from "../../platform/http/microversion.ts"
import { checkedBody } from "../../platform/http/schema-check.ts"
import type { BodyOf, BodySchema } from "../../platform/http/versions.ts"
import type { Operations, WireRequest } from "../../platform/http/wire.ts"
import type { Operation } from "../../platform/operation/operation.ts"
import { anything } from "./server-schemas.ts"

export interface Action {
  operation: Operations
  schema: BodySchema
  told?: BodySchema
  /** First and last microversion that has it. */
  min?: string
  max?: string
  /** Undefined: 202 without a body. */
  answer: (ctx: Ctx, serverId: string, req: WireRequest) => Promise<unknown>
}

/** What an action's handler is given. */
export interface Asked<B> {
  serverId: string
  body: B
  version: Microversion
}

/** Its handler reads the body that its schema admits. */
export function action<S extends BodySchema>(
  definition: Omit<Action, "schema" | "answer"> & {
    schema: S
    run: (ctx: Ctx, asked: Asked<BodyOf<S>>) => Promise<unknown>
  },
): Action {
  const { run, ...facts } = definition
  return {
    ...facts,
    answer: (ctx, serverId, { body, version }) =>
      run(ctx, { serverId, body: checkedBody(facts.schema, version, body), version }),
  }
}

/** One that is asked for by its name alone: `{ "os-start": null }`. */
export function bareAction(key: string, operation: Operation<{ serverId: string }, unknown>): Action {
  return action({
    operation,
    schema: anything(key),
    run: async (ctx, { serverId }) => {
      await operation(ctx, { serverId })
    },
  })
}
