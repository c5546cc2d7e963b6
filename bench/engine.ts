// The network's engine with many ports: what one change costs, and the comparison of all. OVN's databases and northd
// alone, as a change is made when the northbound database has taken it; no host is behind them.
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { monitorEventLoopDelay } from "node:perf_hooks"
import type { NetworkWant, WantPort } from "../server/src/network/driver/network-driver.ts"
import { OvnDriver } from "../server/src/network/driver/ovn/ovn-driver.ts"
import { tellAll } from "../server/src/network/driver/testing/tell-all.ts"
import { nothing, told } from "../server/src/network/driver/want.ts"
import { run } from "./command.ts"
import type { Held } from "./held.ts"
import { median, percentile, type Report } from "./report.ts"

const portsOfNetwork = 100
const counts = [100, 1_000, 10_000]
const singleTargetMs = 50

export async function measureEngine(
  report: Report,
  held: Held,
  { repeat }: { repeat: number },
): Promise<void> {
  for (const count of counts) {
    const own = held.scope()
    const driver = await startEngine(own)
    const want = wantOf(count)
    const begunMs = performance.now()
    await tellAll(driver, want)
    report.add(`${count} ports told at once`, [{ name: "", value: performance.now() - begunMs, unit: "ms" }])
    await measureSingles(report, driver, want, count, repeat)
    await measureComparison(report, driver, want, count, repeat)
    await own[Symbol.asyncDispose]()
  }
}

async function startEngine(held: Held): Promise<OvnDriver> {
  const dir = mkdtempSync(join(tmpdir(), "kumoi-bench-engine-"))
  held.defer(() => rmSync(dir, { recursive: true, force: true }))
  for (const name of ["nb", "sb"]) {
    const file = join(dir, `${name}.db`)
    await run("ovsdb-tool", ["create", file, `/usr/share/ovn/ovn-${name}.ovsschema`])
    begin(held, dir, "/usr/sbin/ovsdb-server", [file, `--remote=punix:${join(dir, `${name}.sock`)}`])
  }
  const at = (name: string) => `--ovn${name}-db=unix:${join(dir, `${name}.sock`)}`
  begin(held, dir, "/usr/bin/ovn-northd", [at("nb"), at("sb")])
  const northboundSocket = join(dir, "nb.sock")
  const driver = new OvnDriver({
    northboundSocket,
    cloudId: "be9c4000",
    gateways: [{ chassis: "host1", priority: 1 }],
  })
  held.defer(() => driver[Symbol.asyncDispose]())
  return driver
}

function begin(held: Held, dir: string, program: string, args: readonly string[]): void {
  const name = program.split("/").at(-1) ?? ""
  const control = `--unixctl=${join(dir, `${name}-${args.length}-${Math.random().toString(16).slice(2)}.ctl`)}`
  const env = { ...process.env, OVS_RUNDIR: dir, OVN_RUNDIR: dir }
  const child = spawn(program, [...args, control, "-vconsole:off", "-vsyslog:off", "-vfile:off"], {
    env,
    stdio: "ignore",
  })
  held.defer(() => endChild(child))
}

async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const ended = new Promise((resolve) => child.once("exit", resolve))
  child.kill("SIGKILL")
  await ended
}

const uuidOf = (kind: number, n: number) => `0000000${kind}-0000-4000-8000-${String(n).padStart(12, "0")}`

/** One group of two rules for all, networks of a hundred ports each, half of them machines of one host. */
function wantOf(count: number): NetworkWant {
  const networks = Math.max(1, count / portsOfNetwork)
  const numbers = Array.from({ length: networks }, (_, n) => n)
  return {
    networks: numbers.map((n) => ({
      id: uuidOf(1, n),
      name: `net${n}`,
      mtu: 1442,
      provider: null,
      isExternal: false,
      adminStateUp: true,
      dnsDomain: null,
    })),
    subnets: numbers.map((n) => ({
      id: uuidOf(2, n),
      networkId: uuidOf(1, n),
      ipVersion: 4,
      cidr: "10.0.0.0/24",
      gatewayIp: "10.0.0.1",
      enableDhcp: true,
      dnsNameservers: [],
      hostRoutes: [],
      ipv6AddressMode: null,
      ipv6RaMode: null,
      serviceIp: "10.0.0.2",
    })),
    ports: Array.from({ length: count }, (_, n) => portOf(n)),
    routers: [],
    floatingIps: [],
    portForwardings: [],
    securityGroups: [{ id: uuidOf(4, 0), isStateful: true, rules: [ruleOf(0, 22), ruleOf(1, 80)] }],
  }
}

function portOf(n: number, change: Partial<WantPort> = {}): WantPort {
  const network = Math.floor(n / portsOfNetwork)
  const hex = n.toString(16).padStart(6, "0")
  return {
    id: uuidOf(3, n),
    networkId: uuidOf(1, network),
    name: `port${n}`,
    macAddress: `fa:16:3e:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4)}`,
    fixedIps: [{ subnetId: uuidOf(2, network), ipAddress: `10.0.0.${(n % portsOfNetwork) + 10}` }],
    adminStateUp: true,
    kind: "vif",
    hostId: n % 2 === 0 ? "host1" : null,
    portSecurityEnabled: true,
    allowedAddressPairs: [],
    securityGroupIds: [uuidOf(4, 0)],
    extraDhcpOptions: [],
    dnsName: null,
    holdsName: true,
    virtual: null,
    qos: null,
    ...change,
  }
}

function ruleOf(n: number, port: number) {
  return {
    id: uuidOf(5, n),
    direction: "ingress" as const,
    ethertype: "IPv4" as const,
    protocol: "tcp",
    portRangeMin: port,
    portRangeMax: port,
    remoteIpPrefix: null,
    remoteGroupId: null,
  }
}

async function measureSingles(
  report: Report,
  driver: OvnDriver,
  want: NetworkWant,
  count: number,
  repeat: number,
): Promise<void> {
  const [group] = want.securityGroups
  if (!group) throw new Error("no group")
  const portChange = (n: number, port: WantPort | null) => {
    const network = Math.floor(n / portsOfNetwork)
    const stands = {
      networks: want.networks.slice(network, network + 1),
      subnets: want.subnets.slice(network, network + 1),
      securityGroups: [group],
    }
    return {
      want: { ...nothing, ...stands, ports: port === null ? [] : [port] },
      told: told((noun) => (noun === "ports" ? [uuidOf(3, n)] : [])),
    }
  }
  const singles: Record<string, (turn: number) => ReturnType<typeof portChange>> = {
    "one port is bound to another host": (turn) =>
      portChange(turn, portOf(turn, { hostId: turn % 2 === 0 ? "host2" : "host3" })),
    "one port is removed": (turn) => portChange(turn, null),
    "one port is added": (turn) => portChange(turn, portOf(turn)),
    "one rule is added to the group of all": (turn) => ({
      want: {
        ...nothing,
        securityGroups: [{ ...group, rules: [...group.rules, ruleOf(2 + turn, 1_000 + turn)] }],
      },
      told: told((noun) => (noun === "securityGroups" ? [group.id] : [])),
    }),
  }
  const times = Math.max(10, repeat * 4)
  for (const [what, changeOf] of Object.entries(singles)) {
    const samples: number[] = []
    for (let turn = 0; turn < times; turn++) {
      const begunMs = performance.now()
      await driver.change(async () => changeOf(turn))
      samples.push(performance.now() - begunMs)
    }
    report.add(`${what}, of ${count} ports`, [
      { name: "median", value: median(samples), unit: "ms", target: singleTargetMs },
      { name: "p95", value: percentile(samples, 0.95), unit: "ms" },
    ])
  }
}

/** As the service compares all: fifty things at a time, each page a change of its own. */
const pageSize = 50

/** The engine has it all, and is asked whether it has. */
async function measureComparison(
  report: Report,
  driver: OvnDriver,
  want: NetworkWant,
  count: number,
  repeat: number,
): Promise<void> {
  await tellAll(driver, want)
  const samples: number[] = []
  const delays = monitorEventLoopDelay({ resolution: 5 })
  delays.enable()
  for (let turn = 0; turn < repeat; turn++) {
    const begunMs = performance.now()
    for (let first = 0; first < count; first += pageSize) {
      const ids = want.ports.slice(first, first + pageSize).map(({ id }) => id)
      const network = Math.floor(first / portsOfNetwork)
      const page = {
        ...want,
        networks: want.networks.slice(network, network + 1),
        subnets: want.subnets.slice(network, network + 1),
        ports: want.ports.slice(first, first + pageSize),
      }
      await driver.change(async () => ({ want: page, told: told((noun) => (noun === "ports" ? ids : [])) }))
    }
    samples.push(performance.now() - begunMs)
  }
  delays.disable()
  report.add(`all of ${count} ports compared, ${pageSize} at a time`, [
    { name: "median", value: median(samples), unit: "ms" },
    { name: "longest stop of the process", value: delays.max / 1e6, unit: "ms" },
  ])
}
