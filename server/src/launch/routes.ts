import { openApiDocuments } from "../api/openstack/openapi.ts"
import { apisOf } from "../engine/service.ts"
import { Fault } from "../platform/fault/fault.ts"
import type { Api } from "../platform/http/wire.ts"
import { services } from "../services.ts"
import { command, type OptionSpecs } from "./options.ts"

const specs = {
  json: { type: "boolean", help: "as JSON: [{service, method, path, actions?}]" },
  openapi: { type: "boolean", help: "as OpenAPI 3.1: the document of SERVICE, or all by name" },
} as const satisfies OptionSpecs

export interface WireOperation {
  service: string
  method: string
  /** From the version on. */
  path: string
  actions?: readonly string[]
}

export function wireOperations(apis: readonly Api[]): WireOperation[] {
  const all: WireOperation[] = []
  for (const api of apis) {
    const add = (prefix: string, routes: Api["routes"]) => {
      for (const { method, path, actions } of routes) {
        all.push({
          service: api.service,
          method,
          path: `${prefix}${path}` || "/",
          ...(actions ? { actions } : {}),
        })
      }
    }
    add("", api.rootRoutes ?? [])
    add(api.version, api.routes)
  }
  return all
}

function openApi([service]: readonly string[]): unknown {
  const documents = openApiDocuments(apisOf(services))
  const found = service === undefined ? documents : documents[service]
  if (found) return found
  const known = Object.keys(documents).join(", ")
  throw new Fault("invalid", "cli.option.invalid", `--openapi ${service}: use one of ${known}.`)
}

const about = {
  usage: "routes [--json | --openapi [SERVICE]]",
  what: "Lists every wire operation.",
  specs,
  takesWords: true,
}

/** `kumoi routes`: made from the declarations, without starting anything. */
export const routes = command(about, async (options) => {
  if (options.flag("openapi")) {
    process.stdout.write(`${JSON.stringify(openApi(options.positionals), null, 2)}\n`)
    return 0
  }
  if (options.positionals.length > 0)
    throw new Fault("invalid", "cli.option.invalid", "routes takes a service with --openapi only.")
  const operations = wireOperations(apisOf(services))
  if (options.flag("json")) process.stdout.write(`${JSON.stringify(operations)}\n`)
  else
    for (const o of operations)
      process.stdout.write(
        `${o.service.padEnd(14)} ${o.method.padEnd(7)} ${o.path}${o.actions ? `  ${o.actions.join(", ")}` : ""}\n`,
      )
  return 0
})
