// An operation is a domain verb, declared once; every wire calls it. The wrapper does what must never be
// forgotten: check the input, load (404 is decided there), authorize, run, time, and note undeclared faults.
import type { Static, TSchema } from "typebox"
import { Compile, type Validator } from "typebox/compile"
import type { Ctx } from "../context/context.ts"
import { type Fault, type FaultDefinition, invalid } from "../fault/fault.ts"
import type { PolicyTarget } from "../policy/rule.ts"

/** [oslo.policy rule, target] */
export type Authorization = readonly [rule: string, target: PolicyTarget]

export interface OperationDefinition<I extends TSchema, L, O> {
  /** `service.noun.verb`; also the name of the saga, the audit event and the routing key. */
  name: string
  input: I
  /** Faults that this operation itself decides. */
  // biome-ignore lint/suspicious/noExplicitAny: the arguments of a fault do not matter here
  faults?: readonly FaultDefinition<any[]>[]
  /** Finds what is acted on; throws not_found when it is not there or the caller may not know that it is. */
  load?: (ctx: Ctx, input: Static<I>) => Promise<L>
  /** All must hold. An empty list must be said: it means that any authenticated caller may. */
  authorize: (ctx: Ctx, input: Static<I>, loaded: L) => readonly Authorization[]
  run: (ctx: Ctx, input: Static<I>, loaded: L) => Promise<O>
}

export interface Operation<I, O> {
  (ctx: Ctx, input: I): Promise<O>
  /** Loads and authorizes only, and gives what was loaded. The input is not checked but for what these two need. */
  readonly admit: (ctx: Ctx, input: I) => Promise<unknown>
  readonly operationName: string
  readonly faultCodes: readonly string[]
}

const registry = new Map<string, Operation<never, unknown>>()

export function declaredOperations(): readonly Operation<never, unknown>[] {
  return [...registry.values()]
}

export function operation<I extends TSchema, O, L = undefined>(
  definition: OperationDefinition<I, L, O>,
): Operation<Static<I>, O> {
  const { name } = definition
  if (registry.has(name)) throw new Error(`operation ${name} is declared twice`)
  let validator: Validator | undefined
  const admit = async (ctx: Ctx, input: Static<I>): Promise<L> => {
    const loaded = (await definition.load?.(ctx, input)) as L
    for (const [rule, target] of definition.authorize(ctx, input, loaded)) {
      ctx.policy.enforce(ctx.caller, rule, target)
    }
    return loaded
  }
  const call = async (ctx: Ctx, input: Static<I>): Promise<O> => {
    // Compiled at first use: a process pays only for what it serves.
    validator ??= Compile(definition.input)
    if (!validator.Check(input)) throw inputFault(validator, input)
    return await definition.run(ctx, input, await admit(ctx, input))
  }
  const made: Operation<Static<I>, O> = Object.assign(call, {
    admit,
    operationName: name,
    faultCodes: (definition.faults ?? []).map((f) => f.code),
  })
  registry.set(name, made as unknown as Operation<never, unknown>)
  return made
}

function inputFault(validator: Validator, input: unknown): Fault {
  const first = validator.Errors(input)[0]
  const field = first?.instancePath.replace(/^\//, "").replaceAll("/", ".") || "input"
  return invalid(field, `Invalid input for ${field}: ${first?.message ?? "it does not have the right form"}.`)
}
