import { resolve } from "node:path"
import { Fault } from "../platform/fault/fault.ts"
import type { TlsFiles } from "../platform/http/tls.ts"
import { apiProcessesMost } from "./engines/api-process.ts"
import { dataDirOf, dataOption, numberOption, type OptionSpecs, type ParsedOptions } from "./options.ts"

export const upOptionSpecs = {
  ...dataOption,
  listen: { type: "string", value: "ADDR", help: "address to listen on (default 127.0.0.1)" },
  port: { type: "string", value: "N", help: "port of every API (default 5000)" },
  "public-url": {
    type: "string",
    value: "URL",
    help: "where clients reach the cloud, for the catalog and links (default: the address of --listen)",
  },
  tls: { type: "boolean", help: "https, with an authority and a certificate of the cloud's own" },
  "tls-cert": { type: "string", value: "FILE", help: "https with this certificate (PEM, with its chain)" },
  "tls-key": { type: "string", value: "FILE", help: "the certificate's key" },
  hypervisor: {
    type: "string",
    choices: ["auto", "qemu", "fake"],
    help: "what runs machines (default auto: qemu as root)",
  },
  network: {
    type: "string",
    choices: ["auto", "ovn", "fake"],
    help: "what carries packets (default auto: ovn as root)",
  },
  detach: { type: "boolean", help: "return when the cloud answers, leave it running" },
  ephemeral: {
    type: "boolean",
    help: "no fsync: faster, but data may be lost if the machine fails (for tests and CI)",
  },
  workers: {
    type: "string",
    value: "N",
    help: "processes that answer requests (default 1: the cloud's own)",
  },
  "classic-ports": { type: "boolean", help: "each API on its usual port as well: 8774, 9292, 9696 ..." },
  join: {
    type: "string",
    value: "URL TOKEN",
    help: "with --control: become a further control host of that cloud, by the line of ./kumoi host token --control",
  },
  control: { type: "boolean", help: "with --join: this host works when no other control host does" },
  name: {
    type: "string",
    value: "NAME",
    help: "with --join: this host's name in the cloud (default: this machine's)",
  },
  address: { type: "string", value: "IP", help: "with --join: where other hosts reach this one" },
  config: { type: "string", value: "FILE", help: "configuration file (YAML); see docs/reference/config.md" },
  yes: { type: "boolean", help: "install missing Debian packages without asking" },
} as const satisfies OptionSpecs

export interface UpOptions {
  dataDir: string
  listen: string
  port: number
  hypervisor: "auto" | "qemu" | "fake"
  network: "auto" | "ovn" | "fake"
  isEphemeral: boolean
  /** Processes that answer requests; with 1 the one that works answers as well. */
  workers: number
  hasClassicPorts: boolean
  /** The operator's PostgreSQL (DATABASE_URL). */
  databaseUrl: string | undefined
  /** The operator's RabbitMQ (AMQP_URL). */
  brokerUrl: string | undefined
  configFile: string | undefined
  /** https with an authority of the cloud's own, or with these files. */
  tls: "own" | TlsFiles | null
  /** Dotted configuration keys that options stand for. */
  configOverrides: Readonly<Record<string, unknown>>
  isYes: boolean
}

export function readUpOptions(options: ParsedOptions): UpOptions {
  const publicUrl = readPublicUrl(options)
  return {
    dataDir: dataDirOf(options),
    listen: options.text("listen") ?? "127.0.0.1",
    port: numberOption(options, "port", { min: 1, max: 65_535 }) ?? 5000,
    // readOptions has checked the choices.
    hypervisor: (options.text("hypervisor") ?? "auto") as UpOptions["hypervisor"],
    network: (options.text("network") ?? "auto") as UpOptions["network"],
    isEphemeral: options.flag("ephemeral"),
    workers: numberOption(options, "workers", { min: 1, max: apiProcessesMost }) ?? 1,
    hasClassicPorts: options.flag("classic-ports"),
    databaseUrl: process.env.DATABASE_URL || undefined,
    brokerUrl: process.env.AMQP_URL || undefined,
    configFile: options.text("config") === undefined ? undefined : resolve(options.text("config") ?? ""),
    configOverrides: publicUrl === undefined ? {} : { "http.publicUrl": publicUrl },
    tls: readTlsOptions(options),
    isYes: options.flag("yes"),
  }
}

function readPublicUrl(options: ParsedOptions): string | undefined {
  const text = options.text("public-url")
  if (text === undefined) return undefined
  const url = URL.parse(text)
  const isPlain = url && !url.username && !url.search && !url.hash && /^https?:$/.test(url.protocol)
  if (isPlain) return text.replace(/\/+$/, "")
  const message = `--public-url ${text}: write an address such as https://cloud.example or https://10.0.0.5:5000.`
  throw new Fault("invalid", "cli.option.invalid", message)
}

function readTlsOptions(options: ParsedOptions): UpOptions["tls"] {
  const [certFile, keyFile] = [options.text("tls-cert"), options.text("tls-key")]
  if (certFile !== undefined && keyFile !== undefined && !options.flag("tls"))
    return { certFile: resolve(certFile), keyFile: resolve(keyFile) }
  if (certFile === undefined && keyFile === undefined) return options.flag("tls") ? "own" : null
  const message = "--tls-cert and --tls-key go together, and without --tls."
  throw new Fault("invalid", "cli.option.invalid", message)
}
