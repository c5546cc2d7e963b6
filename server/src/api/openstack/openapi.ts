// The OpenAPI document of a wire, from its declarations alone: what is not declared is not in it. Microversions and
// actions are told as OpenStack's own documents tell them (`x-openstack`).

import { declaredFaults, Fault, type FaultKind } from "../../platform/fault/fault.ts"
import {
  compareMicroversions,
  formatMicroversion,
  type Microversion,
  parseMicroversion,
} from "../../platform/http/microversion.ts"
import { STATUS_CODES } from "../../platform/http/node-http.ts"
import { statusesOf } from "../../platform/http/status.ts"
import { type BodySchema, gone, schemasOf } from "../../platform/http/versions.ts"
import type { Api, HttpMethod, Route } from "../../platform/http/wire.ts"
import type { AnyOperation } from "../../platform/operation/operation.ts"
import { OperationIds, onlyOperation, pathWords } from "./openapi-names.ts"
import { pathParameters, queryParameters, shareParameters } from "./openapi-parameters.ts"
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
  ids: OperationIds
  /** Nouns, as operations name them. */
  tags: Set<string>
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
    ids: new OperationIds(api.version),
    tags: new Set(),
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
  const parameters = shareParameters(paths)
  return {
    openapi: "3.1.0",
    info: {
      title: `Kumoi: ${api.service}`,
      version: api.microversions?.max ?? api.version.replace("/v", ""),
    },
    servers: [{ url: api.mounts[0] || "/" }],
    security: [{ token: [] }],
    tags: [...document.tags].map((name) => ({ name })),
    paths,
    components: {
      schemas: document.schemas.all(),
      parameters,
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
    return served.length > 0
      ? [[method.toLowerCase(), operationOf(document, method, path, served)] as const]
      : []
  })
  if (operations.length === 0) return undefined
  const parameters = pathParameters(document.api.service, path)
  const { microversions } = document.api
  if (microversions) {
    const { serviceType, min, max } = microversions
    const header = { in: "header", name: "OpenStack-API-Version", schema: { type: "string" } }
    const description = `\`${serviceType} ${max}\`, or any from ${min} on; without it ${min}.`
    parameters.push({ ...header, description })
  }
  return { ...(parameters.length > 0 ? { parameters } : {}), ...Object.fromEntries(operations) }
}

/** One method of a path; several routes when they are for different microversions. */
function operationOf(document: Document, method: HttpMethod, path: string, routes: readonly Route[]): Json {
  const operation = onlyOperation(routes)
  const tag = routes[0]?.operations[0]?.operationName.split(".")[1] ?? "api"
  document.tags.add(tag)
  // Routes of several microversions may take the same.
  const byName = new Map(
    routes
      .flatMap(({ query, told }) => queryParameters({ ...(told?.query ?? query) }))
      .map((parameter) => [parameter.name, parameter]),
  )
  const query = [...byName.values()]
  const limits = limitsOf(...widest(routes))
  return {
    operationId: document.ids.idOf(method, path, routes),
    ...(operation ? { summary: summaryOf(operation) } : {}),
    tags: [tag],
    ...(routes.every((route) => route.policy === "public") ? { security: [] } : {}),
    ...(query.length > 0 ? { parameters: query } : {}),
    ...requestBody(document, routes),
    responses: responsesOf(document, routes),
    ...withOpenStack(limits),
  }
}

/** `compute.server.add_fixed_ip` is "server: add fixed ip". */
function summaryOf({ operationName }: AnyOperation): string {
  const [, noun = "", ...verb] = operationName.split(".").map((word) => word.replaceAll("_", " "))
  return verb.length > 0 ? `${noun}: ${verb.join(" ")}` : noun
}

const json = "application/json"

function requestBody(document: Document, routes: readonly Route[]): Json {
  if (routes.some((route) => route.rawBody)) return { requestBody: { content: { "*/*": {} } } }
  const mediaType = routes.find(({ told }) => told?.mediaType)?.told?.mediaType ?? json
  const choices = routes.flatMap((route) => {
    const bodies = bodiesOf(document, route)
    // Another route of the same path has the other microversions.
    if (routes.length === 1) return bodies
    return bodies.map((body) => ({ ...withOpenStack(limitsOf(route.min, route.max)), ...body }))
  })
  if (choices.length === 0) return {}
  const isByAction = routes.some((route) => route.actionBodies)
  const schema = oneOf(choices, isByAction ? "action" : "microversion")
  return { requestBody: { required: true, content: { [mediaType]: { schema } } } }
}

function oneOf(choices: readonly Json[], discriminator: "action" | "microversion"): Json {
  const [first] = choices
  if (choices.length === 1 && first) return first
  return { oneOf: choices, "x-openstack": { discriminator } }
}

function bodiesOf(document: Document, route: Route): Json[] {
  // What is told says more than what is checked, where there are both.
  const body = route.told?.body ?? route.body
  return choicesOf(document, route, { body, ofAction: ({ schema }) => schema, ending: "" })
}

type ActionBody = NonNullable<Route["actionBodies"]>[string]

interface Said {
  body: BodySchema | undefined
  ofAction: (action: ActionBody) => BodySchema | undefined
  /** Of the component's name. */
  ending: string
}

/** Of each action, where the route has such; of each microversion. */
function choicesOf(document: Document, route: Route, { body, ofAction, ending }: Said): Json[] {
  const range = rangeOf(document.api, route) ?? {}
  const name = `${bodyName(document.api, route)}${ending}`
  if (!route.actionBodies) return body ? versionsOf(document, name, body, range) : []
  return Object.entries(route.actionBodies).flatMap(([action, facts]) => {
    const own = clip(range, facts)
    const schema = ofAction(facts)
    if (!own || !schema) return []
    const versions = versionsOf(document, `${name}_${action}`, schema, own)
    if (versions.length === 0) return []
    return [{ ...oneOf(versions, "microversion"), ...actionFacts(action, versions, facts) }]
  })
}

function actionFacts(action: string, versions: readonly Json[], limits: Limits): Json {
  const discriminator = versions.length > 1 ? { discriminator: "microversion" } : {}
  const only = versions.length === 1 ? versions[0]?.["x-openstack"] : undefined
  return withOpenStack({
    ...discriminator,
    ...limitsOf(limits.min, limits.max),
    ...(only ?? {}),
    "action-name": action,
  })
}

/** The schemas of a body within the range, each with its own range where there are several. */
function versionsOf(document: Document, name: string, body: BodySchema, range: Range): Json[] {
  const entries = schemasOf(body)
  const versions = entries.flatMap(({ from, schema }, index) => {
    const next = entries[index + 1]?.from
    const own = clip(range, { min: textOf(from), max: textOf(next && before(next)) })
    return own && schema !== gone ? [{ schema, own }] : []
  })
  return versions.map(({ schema, own }) => {
    const limits = limitsOf(textOf(own.min), textOf(own.max))
    const isLate = own.min && range.min && compareMicroversions(own.min, range.min) > 0
    const isEarly = own.max && range.max && compareMicroversions(own.max, range.max) < 0
    if (versions.length === 1)
      return { ...document.schemas.body(name, schema), ...withOpenStack(isLate || isEarly ? limits : {}) }
    return { ...document.schemas.body(`${name}_${textOf(own.min)}`, schema), ...withOpenStack(limits) }
  })
}

function bodyName(api: Api, route: Route): string {
  const operation = onlyOperation([route])
  const words = operation
    ? operation.operationName.split(".").slice(1)
    : [...pathWords(api.version, `${api.version}${route.path}`).split("/"), route.method.toLowerCase()]
  return words
    .flatMap((word) => word.split(/[^A-Za-z0-9]+/))
    .map((word) => word.slice(0, 1).toUpperCase() + word.slice(1))
    .join("")
}

function responsesOf(document: Document, routes: readonly Route[]): Json {
  const answers = routes.flatMap((route) => {
    const content = answerOf(document, route)
    return statusesOf(document.api, route).map((status) => [
      status,
      { description: textOfStatus(status), ...(status === noContent ? {} : content) },
    ])
  })
  const references = errorsOf(document.api, routes).map(([status, codes]) => {
    document.errors.add(status)
    const $ref = `#/components/responses/${nameOfStatus(status)}`
    return [status, { $ref, ...(codes.length > 0 ? { description: codes.join(", ") } : {}) }]
  })
  return Object.fromEntries([...references, ...answers])
}

const noContent = 204

function answerOf(document: Document, route: Route): Json {
  if (route.method === "HEAD") return {}
  const body = route.told?.answer
  const choices = choicesOf(document, route, { body, ofAction: ({ told }) => told, ending: "Answer" })
  if (choices.length === 0) return {}
  const schema = oneOf(choices, route.actionBodies ? "action" : "microversion")
  return { content: { [json]: { schema } } }
}

/** How the API answers what the operations declare, and what comes before them: status, and the codes of faults. */
function errorsOf(api: Api, routes: readonly Route[]): [status: number, codes: string[]][] {
  const kinds = new Map<string, FaultKind>(declaredFaults().map(({ code, kind }) => [code, kind]))
  const faults = routes
    .flatMap((route) => route.operations.flatMap(({ faultCodes }) => faultCodes))
    .flatMap((code) => {
      const kind = kinds.get(code)
      return kind ? [new Fault(kind, code, "")] : []
    })
  if (routes.some(({ policy }) => policy !== "public")) faults.push(new Fault("unauthenticated", "", ""))
  if (routes.some(({ policy }) => Array.isArray(policy))) faults.push(new Fault("forbidden", "", ""))
  if (routes.some((route) => isChecked(route))) faults.push(new Fault("invalid", "", ""))
  const request = { requestId: "", baseUrl: "", url: "", headers: {} }
  const byStatus = Map.groupBy(faults, (fault) => api.renderFault(fault, request).status)
  return [...byStatus].map(([status, met]) => {
    const codes = new Set(met.map(({ code }) => code).filter((code) => code !== ""))
    return [status, [...codes].sort()]
  })
}

function isChecked({ body, query, actionBodies, told }: Route): boolean {
  return [body, query, actionBodies, told?.body, told?.query].some((each) => each !== undefined)
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
