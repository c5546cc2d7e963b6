import { Type } from "typebox"
import { configSection, type SectionOf } from "../config/config.ts"

export const httpConfig = configSection(
  "http",
  Type.Object({
    headersDeadlineMs: Type.Integer({
      default: 20_000,
      minimum: 100,
      description: "Time that a new connection, or the headers of a request, may take to come.",
    }),
    bodyDeadlineMs: Type.Integer({
      default: 30_000,
      minimum: 100,
      description: "Time that the JSON body of a request may take to come, from its first header.",
    }),
    streamIdleMs: Type.Integer({
      default: 60_000,
      minimum: 100,
      description: "Time that an upload may stand still; it ends within twice of it.",
    }),
    bodyLingerMs: Type.Integer({
      default: 30_000,
      minimum: 100,
      description:
        "Time that the rest of a refused body may take before its connection is closed: most clients listen for the " +
        "answer only when they have sent all.",
    }),
    jsonDepthMost: Type.Integer({
      default: 100,
      minimum: 1,
      description: "How deep objects and arrays may nest in a body.",
    }),
    jsonItemsMost: Type.Integer({
      default: 10_000,
      minimum: 1,
      description: "Members of one object or array in a body.",
    }),
    connectionsMost: Type.Integer({
      default: 4_096,
      minimum: 1,
      description: "Connections that one process holds at one time; further ones are closed at once.",
    }),
  }),
)

declare module "../config/config.ts" {
  interface Config {
    readonly http: SectionOf<typeof httpConfig>
  }
}
