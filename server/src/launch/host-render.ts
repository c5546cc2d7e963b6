// What `kumoi host` prints.
import { rangeWords } from "../platform/bus/hello.ts"
import { sizeText, table } from "./ask.ts"
import type { HostAnswer, Room, ShownFinding, ShownHost, ShownToken } from "./host-answer.ts"

export function renderHostAnswer(answer: HostAnswer): string {
  if ("token" in answer) return renderToken(answer.token)
  if ("cloudHosts" in answer) return renderHosts(answer.cloudHosts)
  if ("host" in answer) return renderHost(answer)
  if ("done" in answer) return `${answer.done}\n`
  if ("discarded" in answer) {
    const { id, host: of, sizeBytes } = answer.discarded
    return `discarded ${id} of ${of} (${sizeText(sizeBytes)})\n`
  }
  if ("adopted" in answer) return renderAdopted(answer.adopted)
  return renderFindings(answer)
}

function renderToken({ url, token, expiresAt, host, address, isControl }: ShownToken): string {
  const name = host === null ? "" : ` --name ${host}`
  const at = address === null ? "" : ` --address ${address}`
  if (isControl)
    return `On the machine that is to be a control host, as root, with the options of ./kumoi up that it is to have:

  ./kumoi up --join ${url} ${token} --control --listen ADDRESS${name}${at}

The line lets one host in, until ${expiresAt}. It gives whoever has it all of the cloud: its keys, passwords, database.
`
  return `On the machine that is to be a host, as root:

  ./kumoi host join ${url} ${token}${name}${at}

The line lets one host in, until ${expiresAt}.
`
}

const shownState = ({ state, isDisabled, refusal }: ShownHost) =>
  [state, ...(refusal === null ? [] : ["refused"]), ...(isDisabled ? ["disabled"] : [])].join(", ")

function programWords({ version, protocol, hypervisor }: ShownHost): string | null {
  // It has reported, and did not say.
  if (version === null || protocol === null) return hypervisor === null ? null : "before versions were told"
  return `${version} (protocol ${rangeWords(protocol)})`
}

function renderHosts(hosts: readonly ShownHost[]): string {
  const part = (used: number, total: number | undefined) => (total === undefined ? "-" : `${used}/${total}`)
  // Most clouds have one control host, and nothing to tell of it.
  const areSeveral = hosts.some(({ control }) => control !== null)
  const ifSeveral = (word: string) => (areSeveral ? [word] : [])
  const rows = hosts.map((host) => [
    ...[host.name, shownState(host), host.address ?? "-", host.zone ?? "-"],
    ...ifSeveral(host.control ?? "-"),
    String(host.gatewayPriority ?? "-"),
    host.hypervisor === null ? "-" : `${host.hypervisor} (${host.accelerator})`,
    String(host.used.servers),
    part(host.used.vcpus, host.total?.vcpus),
    part(host.used.ramMib, host.total?.ramMib),
    part(host.used.diskGib, host.total?.diskGib),
    host.version ?? "-",
  ])
  return table(
    [
      "HOST",
      "STATE",
      "ADDRESS",
      "ZONE",
      ...ifSeveral("CONTROL"),
      "GATEWAY",
      "MACHINES BY",
      "SERVERS",
      "CPUS",
      "MEMORY MIB",
      "DISK GIB",
      "VERSION",
    ],
    rows,
  )
}

function mappingWords({ bridgeMappings }: ShownHost): string | null {
  if (bridgeMappings === null) return null
  const words = Object.entries(bridgeMappings).map(([network, bridge]) => `${network} (${bridge})`)
  return words.length === 0 ? "none" : words.join(", ")
}

function renderHost({ host, projects }: Extract<HostAnswer, { projects: unknown }>): string {
  const facts = [
    ["state", shownState(host)],
    ["refused", host.refusal],
    ["program", programWords(host)],
    ["disabled", host.disabledReason],
    ["address", host.address],
    ["zone", host.zone],
    ["control plane", host.control],
    ["gateway", host.gatewayPriority === null ? null : `priority ${host.gatewayPriority}`],
    ["physical networks", mappingWords(host)],
    ["machines by", host.hypervisor === null ? null : `${host.hypervisor} (${host.accelerator})`],
    ["last seen", host.lastSeenAt],
    ["joined", host.joinedAt],
    ["certificate until", host.certificateExpiresAt],
  ].filter((fact): fact is [string, string] => typeof fact[1] === "string")
  const lines = facts.map(([name, value]) => `  ${name.padEnd(18)} ${value}\n`).join("")
  const room = (name: string, servers: string, { vcpus, ramMib, diskGib }: Room) => [
    ...[host.name, name, servers, String(vcpus), String(ramMib), String(diskGib)],
  ]
  const rows = [
    ...(host.total ? [room("(total)", "-", host.total)] : []),
    room("(used now)", String(host.used.servers), host.used),
    ...projects.map((each) => room(each.projectId, String(each.servers), each)),
  ]
  return `${host.name}\n${lines}\n${table(["HOST", "PROJECT", "SERVERS", "CPUS", "MEMORY MIB", "DISK GIB"], rows)}`
}

function renderAdopted({
  host,
  id,
  name,
  status,
  portsMissing,
}: Extract<HostAnswer, { adopted: object }>["adopted"]) {
  const lost =
    portsMissing === 0
      ? ""
      : `${portsMissing} of its interfaces have no port any more: openstack server add network ${id} NETWORK\n`
  return `server ${id} (${name}) on ${host} is ${status}\n${lost}`
}

const meaning: Record<ShownFinding["kind"], string> = {
  aside: "set aside",
  unknown: "in its place; no server has its id",
  deleted: "in its place; its server is deleted",
  left: "in its place; its server is elsewhere",
  missing: "a server without its machine",
}

function renderFindings({ hosts }: Extract<HostAnswer, { hosts: unknown }>): string {
  const silent = hosts.filter(({ error }) => error !== null)
  const words = silent.map(({ host: of, error }) => `Host ${of} could not be asked: ${error}\n`).join("")
  const findings = hosts.flatMap((each) => each.findings)
  if (findings.length === 0) return `${words}No machine differs from the database.\n`
  const rows = findings.map((f) => [
    ...[f.host, f.id, f.name ?? "-", f.projectId ?? "-"],
    f.vcpus === null ? "-" : `${f.vcpus} x ${f.ramMib} MiB`,
    ...[f.power, sizeText(f.sizeBytes), f.at ?? "-"],
    f.why === null ? meaning[f.kind] : `${meaning[f.kind]}: ${f.why}`,
  ])
  return `${words}${table(["HOST", "ID", "NAME", "PROJECT", "SIZE", "POWER", "DISK", "SET ASIDE", "WHAT"], rows)}`
}
