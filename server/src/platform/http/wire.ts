// What a wire (one API of one cloud dialect) declares: its routes, its microversions, how it shows errors.
// `kumoi routes`, the permission table and the tests are generated from these declarations.
import type { Readable } from "node:stream"
import type { Static, TSchema } from "typebox"
import type { Caller } from "../auth/caller.ts"
import type { Config } from "../config/config.ts"
import type { AskingRoute, Ctx } from "../context/context.ts"
import type { Fault } from "../fault/fault.ts"
import type { AnyOperation } from "../operation/operation.ts"
import type { Microversion, MicroversionPlan } from "./microversion.ts"
import type { BodyOf, BodySchema } from "./versions.ts"

export type HttpMethod = "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "HEAD" | "OPTIONS" | "COPY"

/** JSON Schema as data, in wires that have no types of it yet. */
export type JsonSchema = Readonly<Record<string, unknown>>

/** As given; a parameter that came twice is an array. Use `queryText` and its like. */
type Query = Readonly<Record<string, string | string[] | undefined>>

export interface WireRequest<B = unknown, Q = Query> {
  readonly params: Readonly<Record<string, string>>
  readonly query: Q
  readonly body: B
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** Path with query, as received. */
  readonly url: string
  readonly method: string
  readonly version: Microversion
  /** The body as it comes, for routes with `rawBody`. */
  readonly stream: Readable
  readonly remoteAddress: string
}

export interface WireReply {
  /** One of the route's; its first when absent. */
  status?: number
  body?: unknown
  headers?: Record<string, string>
  /** Sent instead of `body`. */
  stream?: Readable
}

/** Who may call: policy rules that the operations behind it enforce, any of them, or one of two words. */
export type RoutePolicy = readonly string[] | "public" | "authenticated"

/** What nothing here checks: the handler reads it itself, in the words of its API, or gives it. */
export interface Told {
  body?: BodySchema
  /** Of the body; JSON when absent. */
  mediaType?: string
  query?: JsonSchema
  /** The body of a success; none at microversions of which it says nothing. */
  answer?: BodySchema
}

interface ActionBody {
  schema: BodySchema
  /** What its success answers; default: nothing. */
  told?: BodySchema
  min?: string
  max?: string
}

interface RouteFacts {
  method: HttpMethod
  /** From the version on, parameters in braces: `/servers/{server_id}`. */
  path: string
  /** Of a success, where it is not the usual one of the method: see `statusesOf`. Of several the handler says which. */
  status?: number | readonly [number, ...number[]]
  /** Body schema; a route without one takes no JSON body. */
  body?: BodySchema
  query?: TSchema
  /** For documents, and for tests that are made from them. */
  told?: Told
  /** Their bodies, where the route's own schema does not have them. */
  actionBodies?: Readonly<Record<string, ActionBody>>
  /** First and last microversion that has this route; outside it is 404. */
  min?: string
  max?: string
  /** The path of the route that this one is, under another name. */
  aliasOf?: string
  /** Asked when the body is wrong, in an API with `checksBodyLast`: throws what comes before that. */
  admit?: (ctx: Ctx, req: WireRequest) => Promise<unknown>
  /** The handler reads `req.stream` itself (uploads). */
  rawBody?: boolean
  /** Bytes of a JSON body; default `http.bodyLimitBytes`. */
  bodyLimitBytes?: number
  // biome-ignore lint/suspicious/noExplicitAny: each handler knows the body that its own schema admits
  handler: (ctx: Ctx, req: WireRequest<any>) => Promise<unknown>
}

/** One, or several of which the request says which. */
export type Operations = AnyOperation | readonly AnyOperation[]

/** What is behind a route says who may call it. */
interface OfOperations {
  /** Of several it is one or the other, as the request says; who may ask one of them may call. */
  operation: Operations
  /** Asked besides, for the answer. Who may call does not depend on their rules. */
  alsoAsks?: Operations
  actions?: readonly string[]
  policy?: never
}

interface OfActions {
  /** What a `…/action` route understands: the operation of each name. */
  actions: Readonly<Record<string, Operations>>
  alsoAsks?: Operations
  operation?: never
  policy?: never
}

/** Only for what is no operation: documents about the API itself. */
interface OfNone {
  policy: RoutePolicy
  actions?: readonly string[]
  operation?: never
  alsoAsks?: never
}

export type RouteDefinition<B = unknown, Q = Query> = Omit<RouteFacts, "handler"> & {
  handler: (ctx: Ctx, req: WireRequest<B, Q>) => Promise<unknown>
} & (OfOperations | OfActions | OfNone)

export interface Route extends RouteFacts {
  readonly policy: RoutePolicy
  /** Whose rules are the policy; none when the route says it itself. */
  readonly operations: readonly AnyOperation[]
  /** All operations that the handler may ask. */
  readonly asking: AskingRoute
  /** Names of the actions that a `…/action` route understands. */
  readonly actions?: readonly string[]
}

/** Declares a route; its handler is given what the schemas admit. */
export function route<S extends BodySchema, Q extends TSchema>(
  definition: RouteDefinition<
    BodySchema extends S ? unknown : BodyOf<S>,
    TSchema extends Q ? Query : Static<Q>
  > & {
    body?: S
    query?: Q
  },
): Route
/** In wires that have no types of their schemas yet the handler says it. */
export function route<B = unknown>(definition: RouteDefinition<B>): Route
export function route(definition: RouteDefinition): Route {
  const { operation, alsoAsks, actions, policy, ...facts } = definition
  const isByName = actions !== undefined && !isList(actions)
  const operations = [
    ...new Set(operation ? listOf(operation) : isByName ? Object.values(actions).flatMap(listOf) : []),
  ]
  const asked = [...operations, ...(alsoAsks ? listOf(alsoAsks) : [])]
  return {
    ...facts,
    policy: policy ?? policyOf(operations),
    operations,
    asking: {
      name: `${facts.method} ${facts.path}`,
      operations: new Set(asked.map((o) => o.operationName)),
    },
    ...(actions ? { actions: isByName ? Object.keys(actions) : actions } : {}),
  }
}

function isList<T>(value: T | readonly T[] | Readonly<Record<string, unknown>>): value is readonly T[] {
  return Array.isArray(value)
}

const listOf = (operations: Operations): readonly AnyOperation[] =>
  isList(operations) ? operations : [operations]

/** Who may ask one of the operations. */
export function policyOf(operations: readonly AnyOperation[]): RoutePolicy {
  for (const word of ["public", "authenticated"] as const)
    if (operations.some(({ rules }) => rules === word)) return word
  return [...new Set(operations.flatMap(({ rules }) => rules))]
}

const replyMark = Symbol("reply")

/** For a handler that has headers to say. */
export function withHeaders(body: unknown, headers: Record<string, string>): WireReply {
  return Object.assign({ ...(body === undefined ? {} : { body }), headers }, { [replyMark]: true })
}

/** For a route with several statuses. */
export function reply(status: number, body?: unknown, headers?: Record<string, string>): WireReply {
  return Object.assign(
    { status, ...(body === undefined ? {} : { body }), ...(headers ? { headers } : {}) },
    { [replyMark]: true },
  )
}

export function streamReply(status: number, stream: Readable, headers: Record<string, string>): WireReply {
  return Object.assign({ status, stream, headers }, { [replyMark]: true })
}

export function isWireReply(value: unknown): value is WireReply {
  return typeof value === "object" && value !== null && replyMark in value
}

export interface ErrorReply {
  status: number
  body: unknown
  headers?: Record<string, string>
}

/** How an API shows a fault. One exhaustive table from kind to status in each. */
export type RenderFault = (
  fault: Fault,
  request: { requestId: string; baseUrl: string; url: string; headers: WireRequest["headers"] },
) => ErrorReply

/** Paths as clients of other days write them. Given and taken from the version on, without the query. */
export interface OldPaths {
  /** The path of today; the same when it is one. */
  plain: (path: string) => string
  /** Throws for what an old path says and the caller contradicts. */
  check?: (path: string, caller: Caller) => void
}

export interface Api {
  /** Word of `kumoi routes`: identity, compute, network, image, placement … */
  service: string
  /** Mount points before the version: `["/identity", ""]`. */
  mounts: readonly string[]
  /** Path of the version: `/v3`; empty for placement. All routes lie below. */
  version: string
  /** Routes outside the version (version discovery at the mount itself), path from the mount on. */
  rootRoutes?: readonly Route[]
  routes: readonly Route[]
  microversions?: MicroversionPlan
  /** Of a success, where this API has others than most. */
  statuses?: Partial<Readonly<Record<HttpMethod, number>>>
  /** Whether the configuration has it served; default: it is. */
  isServed?: (config: Config) => boolean
  renderFault: RenderFault
  /** Header with the request id: `x-openstack-request-id`; Nova also sends `x-compute-request-id`. */
  extraRequestIdHeader?: string
  /** Who sends no token learns which paths there are; default: 401 comes before 404 and 405. */
  tellsStrangers?: boolean
  /** Who may not is told so before a body that is wrong; default: the body is looked at first. */
  checksPolicyBeforeBody?: boolean
  oldPaths?: OldPaths
  /** Who may not, or asks for what is not there, is told so before a body that is wrong: see `Route.admit`. */
  checksBodyLast?: boolean
}
