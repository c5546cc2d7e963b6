// What an action of POST /servers/{id}/action is made of.
import type { Ctx } from "../../platform/context/context.ts"
import type { Microversion } from "../../platform/http/microversion.ts"
import { checkedBody } from "../../platform/http/schema-check.ts"
import type { BodyOf, BodySchema } from "../../platform/http/versions.ts"
import type { Operations, WireRequest } from "../../platform/http/wire.ts"
import type { Operation } from "../../platform/operation/operation.ts"
import { badRequest } from "../index.ts"
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

/** The body's member that names an action; of several the first that is one. Throws when there is none. */
export function actionNamed(body: unknown, isKnown: (name: string) => boolean): string {
  const names = namesIn(body)
  const found = names.find(isKnown)
  if (found !== undefined) return found
  if (names.length === 0) throw badRequest("Malformed request body: it names no action.")
  throw badRequest(`There is no such action: ${names.join(", ")}`)
}

export const namesIn = (body: unknown): string[] =>
  typeof body === "object" && body !== null && !Array.isArray(body) ? Object.keys(body) : []
