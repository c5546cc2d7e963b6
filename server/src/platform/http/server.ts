// The HTTP edge: one Fastify, each API an encapsulated plugin with its own error shape. A request is: request id,
// microversion, authentication, body check, handler. Handlers have no try/catch; every error is rendered here.
import type { IncomingMessage } from "node:http"
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from "fastify"
import type { Caller } from "../auth/caller.ts"
import { makeCtx, type Platform } from "../context/context.ts"
import { translateDatabaseError } from "../db/database.ts"
import { Fault, toFault } from "../fault/fault.ts"
import { newRequestId } from "../ids/ids.ts"
import {
  compareMicroversions,
  formatMicroversion,
  type Microversion,
  negotiate,
  parseMicroversion,
} from "./microversion.ts"
import { checkSchema, schemaFor } from "./schema-check.ts"
import { type Api, isWireReply, type Route, type WireRequest } from "./wire.ts"

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
    microversion: Microversion | null
  }
}

const noVersion: Microversion = { major: 0, minor: 0 }

export function createHttpServer(options: HttpServerOptions): FastifyInstance {
  const { platform } = options
  const server = fastify({
    logger: false,
    bodyLimit: options.bodyLimitBytes,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 512 },
    exposeHeadRoutes: false,
    forceCloseConnections: true,
    keepAliveTimeout: 75_000,
    requestTimeout: 0, // an image upload may take long; headers have their own limit
    http: { headersTimeout: 60_000 },
  })
  server.decorateRequest("requestId", "")
  server.decorateRequest("microversion", null)
  // Also for paths that nobody serves: a 404 must not turn into a complaint about an empty body.
  addBodyParsers(server)
  server.addHook("onRequest", (request, _reply, done) => {
    request.requestId = newRequestId()
    done()
  })
  for (const api of options.apis) for (const mount of api.mounts) addApi(server, options, api, mount)
  // Where there is nothing, what was sent to it does not matter: 404, and not a complaint about an empty JSON body.
  server.removeAllContentTypeParsers()
  server.addContentTypeParser("*", (_request, payload, done) => {
    payload.resume()
    done(null, undefined)
  })
  server.setNotFoundHandler((request, response) => {
    void response.status(404).send({
      error: {
        code: 404,
        title: "Not Found",
        message: `There is no ${request.method} ${request.url.split("?")[0]} here.`,
      },
    })
  })
  server.setErrorHandler((error, request, response) => {
    platform.log.error({ err: error, requestId: request.requestId }, "request failed outside every API")
    const fault = fromFastify(error)
    void response.status(fault.kind === "bug" ? 500 : 400).send({ error: { message: fault.message } })
  })
  return server
}

function addApi(server: FastifyInstance, options: HttpServerOptions, api: Api, mount: string): void {
  void server.register((scope, _opts, done) => {
    addBodyParsers(scope)
    scope.setErrorHandler((error, request, response) => sendFault(options, api, request, response, error))
    for (const [key, routes] of groupRoutes(api)) {
      const first = routes[0]
      if (!first) continue
      const path = `${mount}${key.slice(key.indexOf(" ") + 1)}`.replaceAll(/\{([^}]+)\}/g, ":$1") || "/"
      const limit = Math.max(...routes.map((r) => r.bodyLimitBytes ?? 0))
      scope.route({
        method: first.method,
        url: path,
        ...(limit > 0 ? { bodyLimit: limit } : {}),
        handler: (request, response) => handle(options, api, routes, request, response),
      })
    }
    done()
  })
}

/** Routes of one method and path together: they differ in their microversions. */
function groupRoutes(api: Api): Map<string, Route[]> {
  const groups = new Map<string, Route[]>()
  const add = (prefix: string, routes: readonly Route[]) => {
    for (const route of routes) {
      // Parameter names may differ between routes of one path; the router needs one.
      const key = `${route.method} ${prefix}${route.path}`
      groups.set(key, [...(groups.get(key) ?? []), route])
    }
  }
  add("", api.rootRoutes ?? [])
  add(api.version, api.routes)
  return groups
}

function addBodyParsers(scope: FastifyInstance): void {
  scope.removeAllContentTypeParsers()
  const wantsRaw = (request: FastifyRequest) => rawRoutes.has(request.routeOptions.url ?? "", request.method)
  scope.addContentTypeParser(/^application\/(.*\+)?json/, (request, payload, done) => {
    if (wantsRaw(request)) return done(null, undefined)
    readJson(request, payload, request.routeOptions.bodyLimit, done)
  })
  // Clients of some years send JSON without saying so; anything else is left to the handler as a stream.
  scope.addContentTypeParser("*", (request, payload, done) => {
    if (wantsRaw(request) || request.headers["content-type"]?.startsWith("application/octet-stream"))
      return done(null, undefined)
    readJson(request, payload, request.routeOptions.bodyLimit, done)
  })
}

/** Paths whose handler reads the stream itself. */
const rawRoutes = {
  paths: new Set<string>(),
  has(path: string, method: string) {
    return this.paths.has(`${method} ${path}`)
  },
}

/** Must run before the server listens; kept apart so that parsers can ask by path. */
export function declareRawRoutes(apis: readonly Api[]): void {
  for (const api of apis) {
    for (const mount of api.mounts) {
      for (const route of api.routes) {
        if (!route.rawBody) continue
        rawRoutes.paths.add(
          `${route.method} ${`${mount}${api.version}${route.path}`.replaceAll(/\{([^}]+)\}/g, ":$1")}`,
        )
      }
    }
  }
}

function readJson(
  _request: FastifyRequest,
  payload: IncomingMessage,
  limit: number,
  done: (error: Error | null, body?: unknown) => void,
): void {
  const chunks: Buffer[] = []
  let size = 0
  payload.on("data", (chunk: Buffer) => {
    size += chunk.length
    if (size <= limit) chunks.push(chunk)
  })
  payload.on("error", (error) => done(error))
  payload.on("end", () => {
    if (size > limit) {
      done(
        new Fault(
          "too_large",
          "request.body_too_large",
          `Request is too large: ${size} bytes, at most ${limit} are taken.`,
        ),
      )
      return
    }
    if (size === 0) return done(null, undefined)
    try {
      done(null, JSON.parse(Buffer.concat(chunks).toString("utf8")))
    } catch (error) {
      const why = error instanceof Error ? error.message : ""
      done(
        new Fault(
          "invalid",
          "request.malformed_json",
          `Malformed request body: it is not valid JSON (${why}).`,
        ),
      )
    }
  })
}

function baseUrlOf(options: HttpServerOptions, request: FastifyRequest): string {
  const host = request.headers.host
  return host ? `http://${host}` : options.platform.config.publicUrl
}

async function handle(
  options: HttpServerOptions,
  api: Api,
  routes: readonly Route[],
  request: FastifyRequest,
  response: FastifyReply,
): Promise<FastifyReply> {
  const version = api.microversions ? negotiate(api.microversions, request.headers) : noVersion
  request.microversion = version
  const route = routes.find((r) => isServed(r, version))
  // Authentication comes before 404 of a version, as a stranger may not explore.
  const isPublic = routes[0]?.policy === "public"
  const authenticated = isPublic
    ? publicCaller
    : options.authenticate(request.headers, askedFor(api, request))
  const caller = authenticated instanceof Promise ? await authenticated : authenticated
  if (!route) throw new Fault("not_found", "api.route.not_found", "The resource could not be found.")
  const body = route.rawBody ? undefined : request.body
  if (route.body) {
    const schema = schemaFor(route.body, version)
    if (schema) checkSchema(schema, body === undefined || body === null ? {} : body, "body")
  }
  if (route.query) checkSchema(route.query, request.query, "query")
  const ctx = makeCtx(options.platform, caller, request.requestId, baseUrlOf(options, request))
  const result = await route.handler(ctx, {
    params: request.params as Record<string, string>,
    query: request.query as WireRequest["query"],
    body,
    headers: request.headers,
    url: request.url,
    method: request.method,
    version,
    stream: request.raw,
    remoteAddress: request.ip,
  })
  setCommonHeaders(api, request, response)
  if (!isWireReply(result))
    return response.status(route.status ?? (result === undefined ? 204 : 200)).send(result)
  if (result.headers) response.headers(result.headers)
  response.status(result.status)
  return response.send(result.stream ?? result.body)
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
  options: HttpServerOptions,
  api: Api,
  request: FastifyRequest,
  response: FastifyReply,
  error: unknown,
): FastifyReply {
  const fault = fromFastify(translateDatabaseError(error))
  const { log } = options.platform
  const facts = { requestId: request.requestId, method: request.method, url: request.url, code: fault.code }
  if (fault.kind === "bug")
    log.error({ ...facts, err: fault.cause ?? fault, internal: fault.internal }, "request met a bug")
  else if (fault.kind === "unavailable") log.warn({ ...facts, err: fault }, fault.message)
  else log.debug({ ...facts, internal: fault.internal }, fault.message)
  const shown = api.renderFault(fault, {
    requestId: request.requestId,
    baseUrl: baseUrlOf(options, request),
    url: request.url,
    headers: request.headers,
  })
  setCommonHeaders(api, request, response)
  if (fault.retryAfterMs !== undefined)
    response.header("retry-after", String(Math.ceil(fault.retryAfterMs / 1000)))
  if (shown.headers) response.headers(shown.headers)
  return response.status(shown.status).send(shown.body)
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
