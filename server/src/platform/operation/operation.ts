// An operation is a domain verb, declared once; every wire calls it. The wrapper does what must never be
// forgotten: check the input, load (404 is decided there), authorize, run, time, and note what nobody declared.
import type { Static, TSchema } from "typebox"
import { type Ctx, insideOperation } from "../context/context.ts"
import { translateDatabaseError } from "../db/database.ts"
import { type Fault, type FaultDefinition, invalid, toFault } from "../fault/fault.ts"
import type { PolicyTarget } from "../policy/rule.ts"
import { fits } from "../schema/compiled.ts"
import { findMistake } from "../schema/mistake.ts"
import { wordsOf } from "../schema/words.ts"
import { noteUndeclared, noteUnnamed } from "./notes.ts"
import { timesOf } from "./times.ts"

/** [oslo.policy rule, target] */
export type Authorization = readonly [rule: string, target: PolicyTarget]

/** Rules that may be asked, or who may without any: everybody with a token, or everybody. */
export type OperationRules = readonly string[] | "authenticated" | "public"

type Input<I extends TSchema> = Static<I>

interface Facts<I extends TSchema, L, O> {
  /** `service.noun.verb`; also the name of the saga, the audit event and the routing key. */
  name: string
  input: I
  /** Faults that this operation itself decides. */
  // biome-ignore lint/suspicious/noExplicitAny: the arguments of a fault do not matter here
  faults?: readonly FaultDefinition<any[]>[]
  /** Finds what is acted on; throws not_found when it is not there or the caller may not know that it is. */
  load?: (ctx: Ctx, input: Input<I>) => Promise<L>
  run: (ctx: Ctx, input: Input<I>, loaded: L) => Promise<O>
}

/** The usual case: one rule, about one target. */
interface OneRule<I extends TSchema, L> {
  rule: string
  /** Default: none, for rules that ask nothing of it. */
  target?: (ctx: Ctx, input: Input<I>, loaded: L) => PolicyTarget
  rowRule?: never
  rules?: never
  authorize?: never
}

/** Which rules are asked depends on the input. A rule of an attribute (`create_network:shared`) needs not be listed. */
interface ManyRules<I extends TSchema, L> {
  rules: readonly string[]
  rowRule?: never
  /** All must hold. */
  authorize: (ctx: Ctx, input: Input<I>, loaded: L) => readonly Authorization[]
  rule?: never
  target?: never
}

/** A list: `run` leaves out what the rule hides, and nothing is asked before. */
interface RowRule {
  rowRule: string
  rule?: never
  target?: never
  rules?: never
  authorize?: never
}

interface NoRule {
  rules: "authenticated" | "public"
  rowRule?: never
  rule?: never
  target?: never
  authorize?: never
}

export type OperationDefinition<I extends TSchema, L, O> = Facts<I, L, O> &
  (OneRule<I, L> | ManyRules<I, L> | RowRule | NoRule)

export interface Operation<I, O> {
  (ctx: Ctx, input: I): Promise<O>
  /** Loads and authorizes only, and gives what was loaded. The input is not checked but for what these two need. */
  readonly admit: (ctx: Ctx, input: I) => Promise<unknown>
  readonly operationName: string
  readonly rules: OperationRules
  readonly faultCodes: readonly string[]
}

/** Whatever it takes and gives. */
export type AnyOperation = Operation<never, unknown>

const registry = new Map<string, AnyOperation>()

export function declaredOperations(): readonly AnyOperation[] {
  return [...registry.values()]
}

export function operation<I extends TSchema, O, L = undefined>(
  definition: OperationDefinition<I, L, O>,
): Operation<Static<I>, O> {
  const { name } = definition
  if (registry.has(name)) throw new Error(`operation ${name} is declared twice`)
  const rule = definition.rule ?? definition.rowRule
  const rules = rule === undefined ? (definition.rules ?? []) : [rule]
  const faultCodes = (definition.faults ?? []).map((f) => f.code)
  const authorize = authorizerOf(definition, rules)
  const times = timesOf(name)
  const admit = async (ctx: Ctx, input: Static<I>): Promise<L> => {
    const loaded = (await definition.load?.(ctx, input)) as L
    authorize(ctx, input, loaded)
    return loaded
  }
  const call = async (outside: Ctx, input: Static<I>): Promise<O> => {
    if (outside.route?.operations.has(name) === false) noteUnnamed(name, outside.route.name)
    const ctx = insideOperation(outside)
    const begunMs = ctx.clock.monotonicMs()
    try {
      if (!fits(definition.input, input)) throw inputFault(definition.input, input)
      const output = await definition.run(ctx, input, await admit(ctx, input))
      times.add("ok", ctx.clock.monotonicMs() - begunMs)
      return output
    } catch (error) {
      const fault = toFault(translateDatabaseError(error))
      times.add(fault.kind, ctx.clock.monotonicMs() - begunMs)
      noteUndeclared(name, faultCodes, fault)
      throw error
    }
  }
  const made: Operation<Static<I>, O> = Object.assign(call, {
    admit: (ctx: Ctx, input: Static<I>) => admit(insideOperation(ctx), input),
    operationName: name,
    rules,
    faultCodes,
  })
  registry.set(name, made)
  return made
}

function authorizerOf<I extends TSchema, L, O>(
  { name, rule, target, authorize }: OperationDefinition<I, L, O>,
  rules: OperationRules,
): (ctx: Ctx, input: Static<I>, loaded: L) => void {
  if (rule !== undefined)
    return (ctx, input, loaded) => ctx.policy.enforce(ctx.caller, rule, target?.(ctx, input, loaded))
  if (!authorize) return () => {}
  return (ctx, input, loaded) => {
    for (const [asked, about] of authorize(ctx, input, loaded)) {
      if (!isAmong(rules, asked))
        throw new Error(`operation ${name} asks ${asked}, which is not among its rules`)
      ctx.policy.enforce(ctx.caller, asked, about)
    }
  }
}

/** Itself, or the thing whose attribute it is about. */
function isAmong(rules: OperationRules, asked: string): boolean {
  return (
    typeof rules !== "string" &&
    (rules.includes(asked) || rules.some((rule) => asked.startsWith(rule) && asked[rule.length] === ":"))
  )
}

function inputFault(schema: TSchema, input: unknown): Fault {
  const mistake = findMistake(schema, input)
  const field = mistake?.path.join(".") || "input"
  const why = mistake ? wordsOf(mistake) : "it does not have the right form"
  return invalid(field, `Invalid input for ${field}: ${why}.`)
}
