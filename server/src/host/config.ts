import { Type } from "typebox"
import { configSection, type SectionOf } from "../platform/config/config.ts"

const hostsConfig = configSection(
  "hosts",
  Type.Object({
    port: Type.Integer({
      default: 5443,
      minimum: 1,
      maximum: 65_535,
      description:
        "Port at which other hosts join and speak to the cloud. Open from the first `kumoi host token` on.",
    }),
    tunnelType: Type.Union([Type.Literal("geneve"), Type.Literal("vxlan")], {
      default: "geneve",
      description: "What carries tenant networks between hosts: UDP 6081 (geneve) or 4789 (vxlan).",
    }),
    controlLeaseMs: Type.Integer({
      default: 10_000,
      minimum: 3_000,
      maximum: 120_000,
      description:
        "How long the control host that works may say nothing to the database before another one takes its place. One that is killed or loses its connection is replaced at once.",
    }),
    certificateDays: Type.Integer({
      default: 90,
      minimum: 1,
      maximum: 3_650,
      description: "How long a host's certificate lasts. Hosts have it renewed when a third is left.",
    }),
  }),
)

declare module "../platform/config/config.ts" {
  interface Config {
    readonly hosts: SectionOf<typeof hostsConfig>
  }
}
