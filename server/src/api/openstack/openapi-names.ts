// What an OpenAPI document calls its operations: by their dotted names, each once.
import type { HttpMethod, Route } from "../../platform/http/wire.ts"
import type { AnyOperation } from "../../platform/operation/operation.ts"

/** The one operation behind the routes; undefined for several, or none. */
export function onlyOperation(routes: readonly Route[]): AnyOperation | undefined {
  const all = new Set(routes.flatMap((route) => route.operations))
  return all.size === 1 ? [...all][0] : undefined
}

/** `servers/server_id/action`: from the version on, without braces. */
export function pathWords(version: string, path: string): string {
  const inside = path.startsWith(`${version}/`) ? path.slice(version.length + 1) : ""
  return inside.replaceAll(/[{}]/g, "") || path
}

export class OperationIds {
  readonly #paths = new Map<string, string>()
  readonly #taken = new Set<string>()

  readonly #version: string

  constructor(version: string) {
    this.#version = version
  }

  /**
   * `network.port.list`. On a further path its words are added, for a further method of a path the method; what is there
   * keeps its name when others come. Without an operation of its own: `servers/server_id/action:post`.
   */
  idOf(method: HttpMethod, path: string, routes: readonly Route[]): string {
    const verb = method.toLowerCase()
    const words = pathWords(this.#version, path)
    const name = onlyOperation(routes)?.operationName
    if (name === undefined) return `${words}:${verb}`
    const first = this.#paths.get(name) ?? path
    this.#paths.set(name, first)
    const plain = path === first ? name : `${name}:${words}`
    const id = this.#taken.has(plain) ? `${plain}:${verb}` : plain
    this.#taken.add(id)
    return id
  }
}
