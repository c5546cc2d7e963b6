import { apisOf } from "../engine/service.ts"
import type { Api } from "../platform/http/wire.ts"
import { services } from "../services.ts"
import { helpText, type OptionSpecs, readOptions } from "./options.ts"

const specs = {
  json: { type: "boolean", help: "as JSON: [{service, method, path, actions?}]" },
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

/** `kumoi routes`: made from the declarations, without starting anything. */
export async function routes(args: string[]): Promise<number> {
  const options = readOptions(args, specs)
  if (options.wantsHelp) {
    process.stdout.write(helpText("routes [--json]", "Lists every wire operation.", specs))
    return 0
  }
  const operations = wireOperations(apisOf(services))
  if (options.flag("json")) process.stdout.write(`${JSON.stringify(operations)}\n`)
  else
    for (const o of operations)
      process.stdout.write(
        `${o.service.padEnd(14)} ${o.method.padEnd(7)} ${o.path}${o.actions ? `  ${o.actions.join(", ")}` : ""}\n`,
      )
  return 0
}
