import { Type } from "typebox"
import { configSection, type SectionOf } from "../config/config.ts"
import { readRanges } from "../net/ranges.ts"

export const httpConfig = configSection(
  "http",
  Type.Object({
    publicUrl: Type.String({
      default: "",
      pattern: "^(https?://[^/?#@]+(/[^?#@]*)?)?$",
      description:
        "Where clients reach the cloud: `https://cloud.example`. It is in the catalog and in every link. Empty: the " +
        "address of `--listen`. `--public-url` is stronger.",
    }),
    serviceUrls: Type.Record(Type.String(), Type.String({ pattern: "^https?://[^?#@]+$" }), {
      default: {},
      description:
        "Addresses in the catalog of services that are reached elsewhere, by type, whole: " +
        '`{"compute": "https://compute.example/v2.1"}`.',
    }),
    trustedProxies: Type.Array(Type.String(), {
      default: [],
      description:
        "Addresses (CIDR) of proxies before the cloud. What they say in `Forwarded` and `X-Forwarded-Proto`, " +
        "`-Host`, `-Port`, `-Prefix` and `-For` is believed; of others it is not.",
    }),
    metricsCidrs: Type.Array(Type.String(), {
      default: [],
      description: "Addresses (CIDR) that may read `/metrics`, beside this machine.",
    }),
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
    connectionsPerAddressMost: Type.Integer({
      default: 512,
      minimum: 1,
      description:
        "Connections of one address (IPv6: of its network of 64 bits) to one process; further ones get 429 and are " +
        "closed. This machine and `trustedProxies` may have as many as they like.",
    }),
  }),
  (http) => {
    readRanges(http.trustedProxies, "http.trustedProxies")
    readRanges(http.metricsCidrs, "http.metricsCidrs")
  },
)

declare module "../config/config.ts" {
  interface Config {
    readonly http: SectionOf<typeof httpConfig>
  }
}
