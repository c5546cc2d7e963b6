import { type TObject, Type } from "typebox"
import { Errors } from "typebox/schema"
import { badConfig, configSection, type SectionOf } from "../platform/config/config.ts"
import { parseCpuSet } from "../platform/cpu-set/cpu-set.ts"
import { backEndKinds, type VolumeBackEnd } from "./volumes/back-end-kinds.ts"

const kinds = Object.keys(backEndKinds)

const byte = "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
const ipv4Prefix = `^(${byte}\\.){3}${byte}/([1-9]|[12]\\d|3[0-2])$`

export const agentConfig = configSection(
  "agent",
  Type.Object({
    volumeBackEnds: Type.Array(Type.Unsafe<VolumeBackEnd>({ type: "object" }), {
      default: [],
      maxItems: 32,
      description:
        `Back ends of volumes of this host: \`name\`, \`kind\` (${kinds.join(", ")}) and what that ` +
        "kind wants (docs/how-to/storage-back-ends.md). Empty: the host's own, called `file`, or `fake` where " +
        "machines are simulated.",
    }),
    cpuDedicatedSet: Type.String({
      default: "",
      maxLength: 1_000,
      description:
        "Processors of this host (`2-5,^4`) that guests have for themselves: flavors with `hw:cpu_policy` dedicated or " +
        "mixed get them (PCPU in placement), and no other guest runs on them. Empty: there are none.",
    }),
    imageCacheBytes: Type.Integer({
      default: 50 * 1024 ** 3,
      minimum: 0,
      description:
        "Bytes of images that this host keeps. When there are more, those go first that were not used for the longest; " +
        "one that a machine stands on stays.",
    }),
    storageNetworks: Type.Array(Type.String({ pattern: ipv4Prefix }), {
      default: [],
      maxItems: 64,
      description:
        "IPv4 networks (`10.1.0.0/24`) of storage that QEMU reaches over the network itself (`rbd`): from the " +
        "cloud's namespace, in which it runs with `--network ovn`, it reaches these and nothing else.",
    }),
  }),
  ({ cpuDedicatedSet, volumeBackEnds, storageNetworks }) => {
    checkCpus(cpuDedicatedSet)
    checkBackEnds(volumeBackEnds)
    checkNetworks(storageNetworks)
  },
)

declare module "../platform/config/config.ts" {
  interface Config {
    readonly agent: SectionOf<typeof agentConfig>
  }
}

function checkCpus(text: string): void {
  const cpus = parseCpuSet(text)
  if ("mistake" in cpus) throw badConfig("agent.cpuDedicatedSet", cpus.mistake)
}

function checkBackEnds(backEnds: readonly VolumeBackEnd[]): void {
  const at = (index: number) => `agent.volumeBackEnds.${index}`
  for (const [index, each] of backEnds.entries()) {
    // The section's schema leaves this open: each kind has its own.
    if (!Object.hasOwn(backEndKinds, each.kind))
      throw badConfig(`${at(index)}.kind`, `use one of ${kinds.join(", ")}`)
    checkShape(backEndKinds[each.kind], each, at(index))
    const same = backEnds.findIndex(({ name }) => name === each.name)
    if (same < index) throw badConfig(`${at(index)}.name`, `${each.name} is the name of another one already`)
    const mine = directoryOf(each)
    const other = backEnds.slice(0, index).map(directoryOf)
    if (mine !== null && other.some((dir) => dir !== null && overlaps(dir, mine)))
      throw badConfig(`${at(index)}.directory`, `${mine} is, holds or lies in the directory of another one`)
  }
}

/** As `ip route` wants them: `10.1.0.5/24` is an address, and no network. */
function checkNetworks(networks: readonly string[]): void {
  for (const [index, network] of networks.entries()) {
    const [address = "", bits = ""] = network.split("/")
    const number = address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0)
    if (number % 2 ** (32 - Number(bits)) !== 0)
      throw badConfig(`agent.storageNetworks.${index}`, `${network} has bits behind its prefix`)
  }
}

function checkShape(schema: TObject, value: object, at: string): void {
  const known = Object.keys(schema.properties)
  const unknown = Object.keys(value).find((key) => !known.includes(key))
  if (unknown !== undefined)
    throw badConfig(`${at}.${unknown}`, `is not known here; keys are ${known.join(", ")}`)
  const missing = (schema.required ?? []).find((key) => !Object.hasOwn(value, key))
  if (missing !== undefined) throw badConfig(`${at}.${missing}`, "is missing")
  const [, [error]] = Errors(schema, value)
  if (error) throw badConfig(`${at}${error.instancePath.replaceAll("/", ".")}`, error.message)
}

function directoryOf(backEnd: VolumeBackEnd): string | null {
  return "directory" in backEnd && backEnd.directory !== undefined
    ? backEnd.directory.replace(/\/+$/, "")
    : null
}

const overlaps = (a: string, b: string) => a === b || a.startsWith(`${b}/`) || b.startsWith(`${a}/`)
