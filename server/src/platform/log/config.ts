import { Type } from "typebox"
import { configSection, type SectionOf } from "../config/config.ts"

export const logConfig = configSection(
  "log",
  Type.Object({
    bytesMost: Type.Integer({
      default: 64 * 1024 ** 2,
      minimum: 4096,
      description: "Size at which a log of `DATA/log` is put aside as `NAME.1`, and that one as `NAME.2`.",
    }),
    keep: Type.Integer({
      default: 3,
      minimum: 1,
      maximum: 100,
      description: "Logs put aside that are kept of each. `audit.log` is never put aside.",
    }),
  }),
)

declare module "../config/config.ts" {
  interface Config {
    readonly log: SectionOf<typeof logConfig>
  }
}

export type LogBounds = SectionOf<typeof logConfig>
