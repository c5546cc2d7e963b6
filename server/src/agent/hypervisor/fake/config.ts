import { Type } from "typebox"
import { configSection, type SectionOf } from "../../../platform/config/config.ts"

export const fakeConfig = configSection(
  "fake",
  Type.Object({
    pace: Type.Union([Type.Literal("off"), Type.Literal("realistic")], {
      default: "off",
      description:
        "How long the simulated hypervisor takes: off for no time at all; realistic for clients and tests that wait " +
        "to see a server in between (REBOOT, REBUILD, RESIZE).",
    }),
  }),
)
export type FakeConfig = SectionOf<typeof fakeConfig>

declare module "../../../platform/config/config.ts" {
  interface Config {
    readonly fake: FakeConfig
  }
}
