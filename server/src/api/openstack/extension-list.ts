// The list of an API's extensions, as clients of older days look for aliases in it.
import type { Fault } from "../../platform/fault/fault.ts"
import { type Route, route } from "../../platform/http/wire.ts"

const text = { type: "string" }
/** Of clouds that know their extensions besides by addresses: `links`, `namespace`. */
const properties = {
  alias: text,
  name: text,
  description: text,
  updated: text,
  namespace: text,
  links: { type: "array" },
}
const extension = {
  title: "Extension",
  type: "object",
  properties,
  required: ["alias", "name", "description"],
}
const answerOf = (name: string, schema: object) => ({
  answer: { type: "object", properties: { [name]: schema }, required: [name] },
})

export interface ExtensionList {
  /** Alias → name, of those whose calls are served. */
  served: Readonly<Record<string, string>>
  /** What the API says of each besides. */
  view: (alias: string, name: string) => Readonly<Record<string, unknown>>
  notFound: (alias: string) => Fault
}

export function extensionListRoutes({ served, view, notFound }: ExtensionList): Route[] {
  return [
    route({
      method: "GET",
      path: "/extensions",
      policy: "authenticated",
      told: answerOf("extensions", { type: "array", items: extension }),
      handler: async () => ({ extensions: Object.entries(served).map(([alias, name]) => view(alias, name)) }),
    }),
    route({
      method: "GET",
      path: "/extensions/{alias}",
      policy: "authenticated",
      told: answerOf("extension", extension),
      handler: async (_ctx, req) => {
        const alias = req.params.alias ?? ""
        const name = Object.hasOwn(served, alias) ? served[alias] : undefined
        if (name === undefined) throw notFound(alias)
        return { extension: view(alias, name) }
      },
    }),
  ]
}
