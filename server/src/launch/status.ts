// `kumoi status`: what the running process says of itself, over its control socket.
import { type AwayState, awayState, awayText } from "./ask.ts"
import { askCloud } from "./control.ts"
import { command, dataDirOf, dataOption, type OptionSpecs } from "./options.ts"

export interface ComponentStatus {
  name: string
  kind: "engine" | "service" | "process" | "external"
  /** running, starting, backoff, stopped; ok or a reason for services. */
  state: string
  pid: number | null
  since: string | null
  memoryBytes: number
  restarts: number
  detail: string | null
}

export interface CloudStatus {
  state: "running" | AwayState
  url: string | null
  dataDir: string
  hypervisor: string | null
  network: string | null
  memoryBytes: number
  components: ComponentStatus[]
}

const specs = { ...dataOption, json: { type: "boolean", help: "as JSON" } } as const satisfies OptionSpecs

const about = {
  usage: "status [options]",
  what: "Shows every engine and service. Exit 0 when all run, 3 when the cloud does not answer.",
  specs,
}

export const status = command(about, async (options) => {
  const dataDir = dataDirOf(options)
  const found = await readCloudStatus(dataDir)
  if (options.flag("json")) process.stdout.write(`${JSON.stringify(found, null, 2)}\n`)
  else process.stdout.write(renderStatus(found))
  if (found.state !== "running") return 3
  return found.components.every((c) => c.state === "running" || c.state === "ok") ? 0 : 1
})

export async function readCloudStatus(dataDir: string): Promise<CloudStatus> {
  const found = await askCloud(dataDir, "/status")
  // Our own process made it.
  if (found !== null) return found as CloudStatus
  return {
    state: awayState(dataDir),
    url: null,
    dataDir,
    hypervisor: null,
    network: null,
    memoryBytes: 0,
    components: [],
  }
}

function renderStatus(found: CloudStatus): string {
  if (found.state !== "running") return `${awayText(found.dataDir)}\n`
  const mib = (bytes: number) => (bytes > 0 ? `${(bytes / 1_048_576).toFixed(0)} MB` : "-")
  const nameWidth = Math.max(20, ...found.components.map((c) => c.name.length))
  const rows = found.components.map((c) =>
    [
      c.name.padEnd(nameWidth),
      c.kind.padEnd(8),
      c.state.padEnd(9),
      String(c.pid ?? "-").padStart(8),
      mib(c.memoryBytes).padStart(8),
      `  ${c.since ?? "-"}`,
      c.detail ? `  ${c.detail}` : "",
    ].join(" "),
  )
  const head = [
    "NAME".padEnd(nameWidth),
    "KIND".padEnd(8),
    "STATE".padEnd(9),
    "PID".padStart(8),
    "MEMORY".padStart(8),
    "  SINCE",
  ].join(" ")
  return `Kumoi at ${found.url} (hypervisor ${found.hypervisor}, network ${found.network}, ${mib(found.memoryBytes)} in all)\n${head}\n${rows.join("\n")}\n`
}
