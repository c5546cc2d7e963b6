import { Type } from "typebox"
import { configSection, type SectionOf } from "../../platform/config/config.ts"

const consoleConfig = configSection(
  "console",
  Type.Object({
    tokenLifeMs: Type.Integer({
      default: 600_000,
      minimum: 1_000,
      description: "How long a console's address may be opened. Who is connected by then stays so.",
    }),
    allowedOrigins: Type.Array(Type.String({ pattern: "^[A-Za-z0-9.:_-]+$" }), {
      default: [],
      description:
        "Names of hosts whose pages may connect to consoles, beside the cloud's own: a dashboard that shows them itself.",
    }),
    idleMs: Type.Integer({
      default: 3_600_000,
      minimum: 0,
      description: "A console over which nothing goes for so long is closed; 0: never.",
    }),
    sessionsMost: Type.Integer({ default: 500, minimum: 1, description: "Open consoles of the cloud." }),
    sessionsPerServerMost: Type.Integer({
      default: 10,
      minimum: 1,
      description: "Open consoles of one server. A serial line has one: the newest.",
    }),
    messageBytesMost: Type.Integer({
      default: 1_048_576,
      minimum: 1_024,
      description: "One WebSocket message of a client at the most.",
    }),
  }),
)

declare module "../../platform/config/config.ts" {
  interface Config {
    readonly console: SectionOf<typeof consoleConfig>
  }
}
