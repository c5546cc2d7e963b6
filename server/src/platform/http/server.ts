// The HTTP edge: one Fastify, whose only route hands every request to ours; each API has its own error shape. A request
// is: request id, route, authentication, body, microversion, body check, handler. Handlers have no try/catch; every
// error is rendered here, those of paths and methods that no route has as well.
import type { IncomingMessage } from "node:http"
import { createRequire } from "node:module"
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify"
import type { Caller } from "../auth/caller.ts"
import { type Client, type Ctx, makeCtx, type Platform } from "../context/context.ts"
import { foreignKeyFault, translateDatabaseError } from "../db/database.ts"
import { Fault, toFault } from "../fault/fault.ts"
import { newRequestId } from "../ids/ids.ts"
import { addBodyParser, swallowRest, watchBody } from "./body.ts"
import "./config.ts"
import { noteStatus } from "../operation/notes.ts"
import { shortMessage } from "../schema/words.ts"
import { methodNotAllowed, pathUnknown, routeNotServed } from "./faults.ts"
import { readJson } from "./json.ts"
import { headerTimeouts, silentConnectionMs } from "./listen.ts"
import {
  compareMicroversions,
  formatMicroversion,
  type Microversion,
  negotiate,
  parseMicroversion,
} from "./microversion.ts"
import { oldUrlReader, pathBelow } from "./old-paths.ts"
import { createOrigins, type Origins } from "./origin.ts"
import { createPaths, type Paths } from "./paths.ts"
import { createRouter, type FoundRoute } from "./router.ts"
import { checkSchema } from "./schema-check.ts"
import { statusesOf } from "./status.ts"
import { checkUrl, plainUrl } from "./url.ts"
import { schemaFor } from "./versions.ts"
import {
  type Api,
  type HttpMethod,
  isWireReply,
  type Route,
  type WireReply,
  type WireRequest,
} from "./wire.ts"
import { witnessOf } from "./witness.ts"

// By `import` it would import `node:http`, which loads too much: see node-http.ts.
const { fastify } = createRequire(import.meta.url)("fastify") as typeof import("fastify")

/** What is asked, for credentials that are good for some requests only. */
export interface AskedFor {
  /** Word of the API. */
  service: string
  method: string
  /** From the version on, without the mount. */
  path: string
}

/** Finds who sent the request; throws `unauthenticated`. May answer without a promise when it knows already. */
export type Authenticate = (headers: WireRequest["headers"], asked: AskedFor) => Promise<Caller> | Caller

export interface HttpServerOptions {
  platform: Platform
  apis: readonly Api[]
  authenticate: Authenticate
  /** Bytes of a JSON body at the most. */
  bodyLimitBytes: number
}

declare module "fastify" {
  interface FastifyRequest {
    requestId: string
    /** Null: no route takes it. */
    found: FoundRoute | null
    /** Null on public routes. */
    caller: Caller | null
    microversion: Microversion | null
  }
}

const noVersion: Microversion = { major: 0, minor: 0 }
const notCompiled = (): never => {
  throw new Error("a route has a schema of fastify's")
}

/** What every request needs of the server. */
interface Served extends HttpServerOptions {
  origins: Origins
}

export function createHttpServer(given: HttpServerOptions): FastifyInstance {
  const options: Served = { ...given, origins: createOrigins(given.platform.config) }
  const paths = createPaths(options.apis)
  const router = createRouter(options.apis)
  const readOldUrl = oldUrlReader(options.apis)
  const server = fastify({
    logger: false,
    bodyLimit: options.bodyLimitBytes,
    // Of the whole path: what a part may have is our router's to say.
    routerOptions: { maxParamLength: addressLengthMax },
    exposeHeadRoutes: false,
    forceCloseConnections: true,
    keepAliveTimeout: 75_000,
    connectionTimeout: silentConnectionMs,
    requestTimeout: 0, // an image upload may take long; headers and bodies have their own limits
    http: headerTimeouts(options.platform.config.http.headersDeadlineMs),
    rewriteUrl: (request) => readOldUrl(plainUrl(request.url ?? "/")),
    // Bodies are checked by schema-check.ts; fastify's own compilers would only take time to load.
    schemaController: { compilersFactory: { buildValidator: notCompiled, buildSerializer: notCompiled } },
    // A path that cannot be decoded reaches no hook.
    frameworkErrors: (error, request, response) => {
      request.requestId = newRequestId()
      refuse(options, paths, request, response, error)
    },
  })
  server.decorateRequest("requestId", "")
  server.decorateRequest("found", null)
  server.decorateRequest("caller", null)
  server.decorateRequest("microversion", null)
  server.addHook("onRequest", (request, response, done) => {
    request.requestId = newRequestId()
    try {
      request.found = router.find(request.method, request.url)
      watchBody(request, response.raw, options.platform.config.http)
      checkUrl(request.url)
      done()
    } catch (error) {
      // A Fault.
      done(error as Error)
    }
  })
  addBodyParser(server, options)
  server.route({
    method: methodsOf(options.apis),
    url: "/*",
    onRequest: (request, _response, next) =>
      request.found ? admit(options, request, request.found, next) : next(),
    handler: async (request, response) =>
      request.found
        ? await handle(options, request, request.found, response)
        : await refuseUnknown(options, paths, request, response),
  })
  server.setNotFoundHandler(
    async (request, response) => await refuseUnknown(options, paths, request, response),
  )
  server.setErrorHandler((error, request, response) =>
    request.found
      ? sendFault(options, request.found.api, request, response, error)
      : refuse(options, paths, request, response, error),
  )
  return server
}

/** Node takes no more of a request's head. */
const addressLengthMax = 16_384

function methodsOf(apis: readonly Api[]): HttpMethod[] {
  const routes = apis.flatMap((api) => [...(api.rootRoutes ?? []), ...api.routes])
  return [...new Set(routes.map(({ method }) => method))]
}

const pathOf = (request: FastifyRequest) => request.url.split("?")[0] ?? ""

/** What no route takes, in the shape of the API whose path it would be. */
async function refuseUnknown(
  options: Served,
  paths: Paths,
  request: FastifyRequest,
  response: FastifyReply,
): Promise<FastifyReply> {
  const path = pathOf(request)
  const place = paths.placeOf(path)
  if (!place) {
    const message = shortMessage(`There is no ${request.method} ${path} here.`)
    return response.status(404).send({ error: { code: 404, title: "Not Found", message } })
  }
  const { api, isBelowVersion } = place
  try {
    const isStranger = request.headers["x-auth-token"] === undefined
    if (isBelowVersion && !(api.tellsStrangers && isStranger))
      await options.authenticate(request.headers, askedFor(api, request))
    if (api.microversions) request.microversion = negotiate(api.microversions, request.headers)
    const allow = paths.methodsOf(api, path)
    throw allow.length > 0 ? methodNotAllowed(request.method, allow) : pathUnknown()
  } catch (error) {
    return sendFault(options, api, request, response, error)
  }
}

/** What failed outside every handler. */
function refuse(
  options: Served,
  paths: Paths,
  request: FastifyRequest,
  response: FastifyReply,
  error: unknown,
): FastifyReply {
  const place = paths.placeOf(pathOf(request))
  if (place) return sendFault(options, place.api, request, response, error)
  const fault = shortened(fromFastify(error))
  if (fault.kind === "bug")
    options.platform.log.error(
      { err: error, requestId: request.requestId },
      "request failed outside every API",
    )
  return response.status(fault.kind === "bug" ? 500 : 400).send({ error: { message: fault.message } })
}

/** Who asks, before a byte of the body is read. */
function admit(
  options: Served,
  request: FastifyRequest,
  { api, routes }: FoundRoute,
  next: (error?: Error) => void,
): void {
  // Authentication comes before 404 of a version, as a stranger may not explore.
  const isPublic = routes[0].policy === "public"
  const done = (caller: Caller) => {
    request.caller = caller
    next()
  }
  try {
    const found = isPublic ? publicCaller : options.authenticate(request.headers, askedFor(api, request))
    // A token that is known needs no promise.
    if (found instanceof Promise) found.then(done, next)
    else done(found)
  } catch (error) {
    next(error instanceof Error ? error : new Error(String(error)))
  }
}

async function handle(
  options: Served,
  request: FastifyRequest,
  { api, routes, params }: FoundRoute,
  response: FastifyReply,
): Promise<FastifyReply> {
  const version = api.microversions ? negotiate(api.microversions, request.headers) : noVersion
  request.microversion = version
  const route = routes.find((r) => isServed(r, version))
  if (!route) throw routeNotServed()
  const caller = request.caller ?? publicCaller
  if (route.policy !== "public") api.oldPaths?.check?.(pathBelow(api, plainUrl(request.originalUrl)), caller)
  if (api.checksPolicyBeforeBody) checkPolicy(options.platform, route, caller)
  const body = route.rawBody ? undefined : readJson(request.body, options.platform.config.http)
  const ctx = makeCtx(
    options.platform,
    caller,
    request.requestId,
    options.origins.baseUrlOf(request.raw),
    clientOf(options, request),
    route.asking,
  )
  const asked = {
    params,
    query: request.query as WireRequest["query"],
    body,
    headers: request.headers,
    url: request.url,
    method: request.method,
    version,
    stream: request.raw,
    remoteAddress: ctx.client?.address ?? "",
  }
  const witness = witnessOf()
  const result = await runHandler(options, api, route, ctx, witness ? witness.asked(route, asked) : asked)
  setCommonHeaders(api, request, response)
  const statuses = statusesOf(api, route)
  const given: WireReply = isWireReply(result) ? result : { body: result }
  const { status = statuses[0], headers, stream } = given
  if (!statuses.includes(status)) noteStatus(route.asking.name, status)
  // What an operation gives is nothing to an answer that has no body.
  const shown = status === noContent ? undefined : given.body
  if (!stream) witness?.answered(route, asked, shown)
  if (headers) response.headers(headers)
  return response.status(status).send(stream ?? shown)
}

const noContent = 204

async function runHandler(
  { platform }: Served,
  api: Api,
  route: Route,
  ctx: Ctx,
  request: WireRequest & { readonly stream: IncomingMessage },
): Promise<unknown> {
  try {
    checkSchemas(route, request)
    return await route.handler(ctx, request)
  } catch (error) {
    if (route.rawBody) await swallowRest(request.stream, platform.clock, platform.config.http)
    if (api.checksBodyLast && error instanceof Fault && error.kind === "invalid") {
      if (route.admit) await route.admit(ctx, request)
      else checkPolicy(platform, route, ctx.caller)
    }
    throw error
  }
}

function checkSchemas(route: Route, { body, query, version }: WireRequest): void {
  const schema = route.body && schemaFor(route.body, version)
  if (schema) checkSchema(schema, body === undefined || body === null ? {} : body, "body")
  if (route.query) checkSchema(route.query, query, "query")
}

/** Refuses who could not be allowed whatever the request is about; the operation decides the rest. */
function checkPolicy({ policy }: Platform, route: Route, caller: Caller): void {
  if (typeof route.policy === "string") return
  const [first] = route.policy
  if (first === undefined || route.policy.some((rule) => policy.mightAllow(caller, rule))) return
  policy.enforce(caller, first)
}

const requestIdPattern = /^req-[0-9a-f-]{36}$/
/** Longer ones are cut: they are kept with audit records. */
const agentLengthMax = 255

function clientOf({ origins }: Served, request: FastifyRequest): Client {
  const given = request.headers["x-openstack-request-id"]
  return {
    address: origins.clientOf(request.raw),
    agent: request.headers["user-agent"]?.slice(0, agentLengthMax) ?? null,
    globalRequestId: typeof given === "string" && requestIdPattern.test(given) ? given : null,
  }
}

function askedFor(api: Api, request: FastifyRequest): AskedFor {
  const mount = api.mounts.find((m) => m !== "" && request.url.startsWith(`${m}/`)) ?? ""
  return { service: api.service, method: request.method, path: request.url.slice(mount.length) }
}

/** Stands for nobody on public routes; has no role. */
const publicCaller: Caller = {
  userId: "",
  userName: "",
  userDomainId: "",
  userDomainName: "",
  projectId: null,
  projectName: null,
  projectDomainId: null,
  projectDomainName: null,
  isAdminProject: false,
  domainId: null,
  domainName: null,
  systemScope: null,
  roles: [],
  roleIds: [],
  token: null,
}

function isServed(route: Route, version: Microversion): boolean {
  const min = route.min ? parseMicroversion(route.min) : undefined
  const max = route.max ? parseMicroversion(route.max) : undefined
  return (
    (!min || compareMicroversions(version, min) >= 0) && (!max || compareMicroversions(version, max) <= 0)
  )
}

function setCommonHeaders(api: Api, request: FastifyRequest, response: FastifyReply): void {
  response.header("x-openstack-request-id", request.requestId)
  if (api.extraRequestIdHeader) response.header(api.extraRequestIdHeader, request.requestId)
  const plan = api.microversions
  if (!plan) return
  const version = request.microversion
  response.header(
    "openstack-api-version",
    `${plan.serviceType} ${version ? formatMicroversion(version) : plan.min}`,
  )
  response.header(
    "vary",
    plan.legacyHeader ? `OpenStack-API-Version, ${plan.legacyHeader}` : "OpenStack-API-Version",
  )
  if (plan.legacyHeader && version) response.header(plan.legacyHeader, formatMicroversion(version))
}

function sendFault(
  options: Served,
  api: Api,
  request: FastifyRequest,
  response: FastifyReply,
  error: unknown,
): FastifyReply {
  const met = foreignKeyFault(error)
  const fault = met ?? shortened(fromFastify(translateDatabaseError(error)))
  const { log } = options.platform
  const facts = { requestId: request.requestId, method: request.method, url: request.url, code: fault.code }
  if (fault.kind === "bug")
    log.error({ ...facts, err: fault.cause ?? fault, internal: fault.internal }, "request met a bug")
  else if (met || fault.kind === "unavailable") log.warn({ ...facts, err: fault }, fault.message)
  else log.debug({ ...facts, internal: fault.internal }, fault.message)
  const shown = api.renderFault(fault, {
    requestId: request.requestId,
    baseUrl: options.origins.baseUrlOf(request.raw),
    url: request.url,
    headers: request.headers,
  })
  setCommonHeaders(api, request, response)
  if (shown.status === 405 && Array.isArray(fault.detail?.allow))
    response.header("allow", fault.detail.allow.join(", "))
  if (fault.retryAfterMs !== undefined)
    response.header("retry-after", String(Math.ceil(fault.retryAfterMs / 1000)))
  if (shown.headers) response.headers(shown.headers)
  return response.status(shown.status).send(shown.body)
}

/** Long values of a client are not sent back, whoever put them into the sentence. */
function shortened(fault: Fault): Fault {
  const message = shortMessage(fault.message)
  if (message === fault.message) return fault
  const { kind, code, internal, cause, detail, retryAfterMs } = fault
  return new Fault(kind, code, message, {
    internal,
    cause,
    detail,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  })
}

/** Fastify's own refusals (body too large, bad content length) as faults. */
function fromFastify(error: unknown): Fault {
  if (
    error instanceof Error &&
    "statusCode" in error &&
    typeof error.statusCode === "number" &&
    error.statusCode < 500
  ) {
    const kind = error.statusCode === 413 ? "too_large" : error.statusCode === 404 ? "not_found" : "invalid"
    return new Fault(kind, "request.refused", error.message)
  }
  return toFault(error)
}
