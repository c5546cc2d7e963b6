// The OpenAPI document of a wire, from its declarations alone: what is not declared is not in it. Microversions and
// actions are told as OpenStack's own documents tell them (`x-openstack`).
import { STATUS_CODES } from "node:http"
import { declaredFaults, Fault, type FaultKind } from "../../platform/fault/fault.ts"
import {
  compareMicroversions,
  formatMicroversion,
  type Microversion,
  parseMicroversion,
} from "../../platform/http/microversion.ts"
import { statusesOf } from "../../platform/http/status.ts"
import { type BodySchema, schemasOf } from "../../platform/http/versions.ts"
import type { Api, JsonSchema, Route } from "../../platform/http/wire.ts"
import type { AnyOperation } from "../../platform/operation/operation.ts"
import { SchemaComponents } from "./openapi-schemas.ts"

type Json = Record<string, unknown>

interface Range {
  min?: Microversion | undefined
  max?: Microversion | undefined
}

/** As declared. */
interface Limits {
  min?: string | undefined
  max?: string | undefined
}

interface Document {
  api: Api
  schemas: SchemaComponents
  parameters: Map<string, Json>
  /** Statuses of errors that something answers. */
  errors: Set<number>
}

/** A document for each API, by its word; a second one of the same service has its version in the name. */
export function openApiDocuments(apis: readonly Api[]): Record<string, Json> {
  const documents: Record<string, Json> = {}
  for (const api of apis) {
    const name = api.service in documents ? `${api.service}${api.version.replaceAll("/", "-")}` : api.service
    documents[name] = openApiOf(api)
  }
  return documents
}

function openApiOf(api: Api): Json {
  const document: Document = {
    api,
    schemas: new SchemaComponents(),
    parameters: new Map(),
    errors: new Set(),
  }
  const paths: Record<string, Json> = {}
  const add = (prefix: string, routes: readonly Route[]) => {
    const byPath = Map.groupBy(routes, ({ path }) => `${prefix}${path}` || "/")
    for (const [path, there] of byPath) {
      const item = pathItem(document, path, there)
      if (item) paths[path] = item
    }
  }
  add("", api.rootRoutes ?? [])
  add(api.version, api.routes)
  return {
    openapi: "3.1.0",
    info: {
      title: `Kumoi: ${api.service}`,
      version: api.microversions?.max ?? api.version.replace("/v", ""),
    },
    servers: [{ url: api.mounts[0] || "/" }],
    security: [{ token: [] }],
    tags: [{ name: api.service }],
    paths,
    components: {
      schemas: document.schemas.all(),
      parameters: Object.fromEntries(document.parameters),
      responses: Object.fromEntries(
        [...document.errors].map((status) => [nameOfStatus(status), { description: textOfStatus(status) }]),
      ),
      securitySchemes: { token: { type: "apiKey", in: "header", name: "X-Auth-Token" } },
    },
  }
}

function pathItem(document: Document, path: string, routes: readonly Route[]): Json | undefined {
  const operations = [...Map.groupBy(routes, ({ method }) => method)].flatMap(([method, alternatives]) => {
    const served = alternatives.filter((route) => rangeOf(document.api, route) !== undefined)
    return served.length > 0 ? [[method.toLowerCase(), operationOf(document, path, served)] as const] : []
  })
  if (operations.length === 0) return undefined
  const parameters = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) =>
    parameter(document, name, { in: "path", name, required: true, schema: { type: "string" } }),
  )
  const { microversions } = document.api
  if (microversions) {
    const { serviceType, min, max } = microversions
    const header = { in: "header", name: "OpenStack-API-Version", schema: { type: "string" } }
    const description = `\`${serviceType} ${max}\`, or any from ${min} on; without it ${min}.`
    parameters.push(parameter(document, "microversion", { ...header, description }))
  }
  return { ...(parameters.length > 0 ? { parameters } : {}), ...Object.fromEntries(operations) }
}

function parameter({ parameters }: Document, name: string, definition: Json): Json {
  parameters.set(name, definition)
  return { $ref: `#/components/parameters/${name}` }
}

/** One method of a path; several routes when they are for different microversions. */
function operationOf(document: Document, path: string, routes: readonly Route[]): Json {
  const { api } = document
  const id = operationId(api, path, routes[0]?.method ?? "")
  const operations = [...new Set(routes.flatMap((route) => route.operations))]
  const query = routes.flatMap((route) => queryParameters({ ...route.query }))
  const limits = limitsOf(...widest(routes))
  return {
    operationId: id,
    ...(operations.length === 1 && operations[0] ? { summary: summaryOf(operations[0]) } : {}),
    tags: [api.service],
    ...(routes.every((route) => route.policy === "public") ? { security: [] } : {}),
    ...(query.length > 0 ? { parameters: query } : {}),
    ...requestBody(document, routes),
    responses: responsesOf(document, routes),
    ...withOpenStack(limits),
  }
}

/** As OpenStack's own documents have it, without the version: `servers/server_id/action:post`. */
function operationId({ version }: Api, path: string, method: string): string {
  const inside = path.startsWith(`${version}/`) ? path.slice(version.length + 1) : ""
  return `${inside.replaceAll(/[{}]/g, "") || path}:${method.toLowerCase()}`
}

/** `compute.server.add_fixed_ip` is "server: add fixed ip". */
function summaryOf({ operationName }: AnyOperation): string {
  const [, noun = "", ...verb] = operationName.split(".").map((word) => word.replaceAll("_", " "))
  return verb.length > 0 ? `${noun}: ${verb.join(" ")}` : noun
}

function queryParameters(query: JsonSchema): Json[] {
  const properties = (query.properties ?? {}) as Record<string, JsonSchema>
  const required = (query.required ?? []) as readonly string[]
  return Object.entries(properties).map(([name, schema]) => ({
    in: "query",
    name,
    ...(required.includes(name) ? { required: true } : {}),
    schema,
  }))
}

function requestBody(document: Document, routes: readonly Route[]): Json {
  if (routes.some((route) => route.rawBody)) return { requestBody: { content: { "*/*": {} } } }
  const choices = routes.flatMap((route) => {
    const bodies = bodiesOf(document, route)
    // Another route of the same path has the other microversions.
    if (routes.length === 1) return bodies
    return bodies.map((body) => ({ ...withOpenStack(limitsOf(route.min, route.max)), ...body }))
  })
  if (choices.length === 0) return {}
  const isByAction = routes.some((route) => route.actionBodies)
  const schema = oneOf(choices, isByAction ? "action" : "microversion")
  return { requestBody: { required: true, content: { "application/json": { schema } } } }
}

function oneOf(choices: readonly Json[], discriminator: "action" | "microversion"): Json {
  const [first] = choices
  if (choices.length === 1 && first) return first
  return { oneOf: choices, "x-openstack": { discriminator } }
}

function bodiesOf(document: Document, route: Route): Json[] {
  const range = rangeOf(document.api, route) ?? {}
  const name = bodyName(document.api, route)
  if (!route.actionBodies) return route.body ? versionsOf(document, name, route.body, range) : []
  return Object.entries(route.actionBodies).flatMap(([action, { schema, min, max }]) => {
    const own = clip(range, { min, max })
    if (!own) return []
    const versions = versionsOf(document, `${name}_${action}`, schema, own)
    if (versions.length === 0) return []
    return [{ ...oneOf(versions, "microversion"), ...actionFacts(action, versions, { min, max }) }]
  })
}

function actionFacts(action: string, versions: readonly Json[], limits: Limits): Json {
  const discriminator = versions.length > 1 ? { discriminator: "microversion" } : {}
  return withOpenStack({ ...discriminator, ...limitsOf(limits.min, limits.max), "action-name": action })
}

/** The schemas of a body within the range, each with its own range where there are several. */
function versionsOf(document: Document, name: string, body: BodySchema, range: Range): Json[] {
  const entries = schemasOf(body)
  const versions = entries.flatMap(({ from, schema }, index) => {
    const next = entries[index + 1]?.from
    const own = clip(range, { min: textOf(from), max: textOf(next && before(next)) })
    return own ? [{ schema, from: textOf(from), own }] : []
  })
  return versions.map(({ schema, from, own }) => {
    if (versions.length === 1) return { ...document.schemas.body(name, schema) }
    const limits = limitsOf(textOf(own.min), textOf(own.max))
    return { ...document.schemas.body(`${name}_${from}`, schema), ...withOpenStack(limits) }
  })
}

function bodyName(api: Api, route: Route): string {
  const [operation] = route.operations
  const words =
    operation && route.operations.length === 1
      ? operation.operationName.split(".").slice(1)
      : operationId(api, `${api.version}${route.path}`, route.method).split(/[/:]/)
  return words
    .flatMap((word) => word.split(/[^A-Za-z0-9]+/))
    .map((word) => word.slice(0, 1).toUpperCase() + word.slice(1))
    .join("")
}

function responsesOf(document: Document, routes: readonly Route[]): Json {
  const answers = routes.flatMap((route) =>
    statusesOf(document.api, route).map((status) => [status, { description: textOfStatus(status) }]),
  )
  const errors = new Set(routes.flatMap((route) => errorStatuses(document.api, route)))
  for (const status of errors) document.errors.add(status)
  const references = [...errors].map((status) => [
    status,
    { $ref: `#/components/responses/${nameOfStatus(status)}` },
  ])
  return Object.fromEntries([...references, ...answers])
}

/** How the API answers what the operations declare, and what comes before them. */
function errorStatuses(api: Api, route: Route): number[] {
  const kinds = new Map<string, FaultKind>(declaredFaults().map(({ code, kind }) => [code, kind]))
  const own = route.operations.flatMap(({ faultCodes }) => faultCodes)
  const faults = own.flatMap((code) => {
    const kind = kinds.get(code)
    return kind ? [new Fault(kind, code, "")] : []
  })
  if (route.policy !== "public") faults.push(new Fault("unauthenticated", "", ""))
  if (Array.isArray(route.policy)) faults.push(new Fault("forbidden", "", ""))
  if (route.body || route.query || route.actionBodies) faults.push(new Fault("invalid", "", ""))
  const request = { requestId: "", baseUrl: "", url: "", headers: {} }
  return faults.map((fault) => api.renderFault(fault, request).status)
}

function textOfStatus(status: number): string {
  return STATUS_CODES[status] ?? "Error"
}

function nameOfStatus(status: number): string {
  return textOfStatus(status).replaceAll(/[^A-Za-z]/g, "")
}

function parse(text: string | undefined): Microversion | undefined {
  return text === undefined ? undefined : parseMicroversion(text)
}

function textOf(version: Microversion | undefined): string | undefined {
  return version && formatMicroversion(version)
}

function before({ major, minor }: Microversion): Microversion {
  return { major, minor: minor - 1 }
}

/** The microversions at which the API serves the route; undefined: at none. */
function rangeOf(api: Api, route: Route): Range | undefined {
  const { min, max } = api.microversions ?? {}
  return clip({ min: parse(min), max: parse(max) }, route)
}

/** What two ranges have in common; undefined: nothing. */
function clip(range: Range, { min, max }: Limits): Range | undefined {
  const later = (a?: Microversion, b?: Microversion) =>
    a && b ? (compareMicroversions(a, b) >= 0 ? a : b) : (a ?? b)
  const earlier = (a?: Microversion, b?: Microversion) =>
    a && b ? (compareMicroversions(a, b) <= 0 ? a : b) : (a ?? b)
  const found = { min: later(range.min, parse(min)), max: earlier(range.max, parse(max)) }
  return found.min && found.max && compareMicroversions(found.min, found.max) > 0 ? undefined : found
}

/** From the lowest to the highest that one of them has; open where one is. */
function widest(routes: readonly Route[]): [min: string | undefined, max: string | undefined] {
  const sorted = (texts: readonly (string | undefined)[]) => {
    const versions = texts.flatMap((text) => parse(text) ?? [])
    return versions.length < texts.length ? [] : versions.sort(compareMicroversions)
  }
  return [
    textOf(sorted(routes.map(({ min }) => min))[0]),
    textOf(sorted(routes.map(({ max }) => max)).at(-1)),
  ]
}

function limitsOf(min: string | undefined, max: string | undefined): Json {
  return {
    ...(min === undefined ? {} : { "min-ver": min }),
    ...(max === undefined ? {} : { "max-ver": max }),
  }
}

function withOpenStack(facts: Json): Json {
  return Object.keys(facts).length > 0 ? { "x-openstack": facts } : {}
}
