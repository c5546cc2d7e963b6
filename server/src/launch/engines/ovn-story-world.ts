// The world of the network's end-to-end test: a cloud's engines, a wanted network, and guests, which are network
// namespaces on the far end of a veth that stands where a machine's tap would stand.

import { type ChildProcess, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type Server } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { MetadataProxy, shareWithProxy } from "../../agent/metadata/metadata-proxy.ts"
import { enterNetns, netnsDir } from "../../agent/ports/netns.ts"
import { OvnPlugger, tapName } from "../../agent/ports/ovn-plugger.ts"
import type { NetworkWant, WantPort } from "../../network/driver/network-driver.ts"
import { OvnDriver } from "../../network/driver/ovn/ovn-driver.ts"
import { metadataPorts } from "../../network/driver/testing/sample-want.ts"
import { eventually } from "../../platform/clock/clock.ts"
import { type ExecResult, exec } from "../../platform/exec/exec.ts"
import { silentLogger } from "../../platform/log/log.ts"
import { Supervisor } from "../../platform/supervise/supervisor.ts"
import { metadataProxyEngine } from "./haproxy-metadata.ts"
import { ovnEngines } from "./ovn.ts"
import { setUpNetworkHost, tearDownNetworkHost } from "./ovn-host.ts"
import { integrationBridge, type OvnPaths } from "./ovn-paths.ts"

const hostId = "host1"

const udhcpcScript = `#!/bin/sh
[ "$1" = bound ] || exit 0
ip -4 address flush dev $interface
ip address add $ip/$mask dev $interface
[ -n "$mtu" ] && ip link set $interface mtu $mtu
if [ -n "$staticroutes" ]; then
  set -- $staticroutes
  while [ $# -ge 2 ]; do ip route replace $1 via $2 dev $interface; shift 2; done
elif [ -n "$router" ]; then
  ip route replace default via $router dev $interface
fi
echo "lease=$ip mask=$mask router=$router dns=$dns mtu=$mtu domain=$domain server=$serverid hostname=$hostname"
`

export const metadataNetworks = metadataPorts.map((port) => ({
  networkId: port.networkId,
  portId: port.id,
  macAddress: port.macAddress,
  serviceIps: port.fixedIps.map((fixed) => fixed.ipAddress),
}))

export interface World {
  paths: OvnPaths
  supervisor: Supervisor
  driver: OvnDriver
  plugger: OvnPlugger
  proxy: MetadataProxy
  /** What the metadata service was asked, newest last; `/held` is answered only by `answer`. */
  requests: { url: string; headers: Record<string, unknown>; answer: () => void }[]
  dir: string
  end(): Promise<void>
  /** As after kill -9 of Kumoi: nobody ends the engines, and of the cloud only its id is known. */
  tearDownAlone(): Promise<void>
}

export async function startWorld(publicAddress = "172.24.4.1/24"): Promise<World> {
  const cloudId = randomBytes(4).toString("hex")
  const log = silentLogger
  const paths = await setUpNetworkHost({ id: cloudId, publicAddresses: [publicAddress], log })
  // After what may be refused, so that nothing stays of it.
  const dir = mkdtempSync(join(tmpdir(), "kumoi-ovn-"))
  const supervisor = new Supervisor({ runDir: join(dir, "run"), log })
  const engines = ovnEngines({
    paths,
    databaseDir: join(dir, "ovn"),
    logDir: join(dir, "log"),
    hostId,
    isPublic: true,
    datapathType: "netdev",
  })
  for (const engine of [...engines, metadataProxyEngine({ paths, logDir: join(dir, "log") })])
    await supervisor.start(engine)
  const requests: World["requests"] = []
  const server = await serveMetadata(paths.metadataSocket, requests)
  const common = { switchSocket: paths.switchSocket, integrationBridge, netns: paths.netns }
  const driver = new OvnDriver({
    northboundSocket: paths.northboundSocket,
    cloudId,
    gateways: [{ chassis: hostId, priority: 1 }],
  })
  const plugger = new OvnPlugger({ ...common, netnsFile: paths.netnsFile })
  const proxy = new MetadataProxy({
    ...common,
    metadataSocket: paths.metadataSocket,
    proxyDir: paths.proxyDir,
  })
  prepareGuests(dir)
  const endWith = async (endEngines: () => Promise<void> | void) => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    for (const each of [driver, plugger, proxy]) await each[Symbol.asyncDispose]()
    await endEngines()
    await tearDownNetworkHost({ id: cloudId, log })
    rmSync(dir, { recursive: true, force: true })
  }
  const end = () => endWith(() => supervisor.stopAll())
  const tearDownAlone = () => endWith(() => supervisor.release())
  return { paths, supervisor, driver, plugger, proxy, requests, dir, end, tearDownAlone }
}

/** What guests run lies in this directory. */
export function prepareGuests(dir: string): void {
  writeFileSync(join(dir, "udhcpc.sh"), udhcpcScript, { mode: 0o755 })
}

async function serveMetadata(socketPath: string, requests: World["requests"]): Promise<Server> {
  const server = createServer((request, response) => {
    const seen = { url: request.url ?? "", headers: request.headers, answer: () => response.end("ami-id\n") }
    requests.push(seen)
    if (seen.url !== "/held") seen.answer()
  })
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  await shareWithProxy(socketPath)
  return server
}

/** Where a guest is: the network of one host. */
export type GuestHost = Pick<World, "paths" | "plugger" | "dir">

/** A guest on a port: its namespace, and the veth in the place of its tap. */
export class Guest {
  readonly netns: string
  readonly port: WantPort
  readonly #world: GuestHost
  readonly #children: ChildProcess[] = []

  private constructor(world: GuestHost, port: WantPort) {
    this.#world = world
    this.port = port
    this.netns = `kg-${world.paths.id}-${port.name}`
  }

  static async start(world: GuestHost, port: WantPort): Promise<Guest> {
    const guest = new Guest(world, port)
    const device = tapName(port.id)
    await exec("ip", ["netns", "add", guest.netns])
    await exec("ip", ["-n", guest.netns, "link", "set", "lo", "up"])
    const peer = ["peer", "name", "eth0", "netns", guest.netns]
    await exec("ip", ["-n", world.paths.netns, "link", "add", device, "type", "veth", ...peer])
    await exec("ip", ["-n", guest.netns, "link", "set", "eth0", "address", port.macAddress, "up"])
    await guest.run("ethtool", ["-K", "eth0", "tx", "off", "tso", "off", "gso", "off"])
    await world.plugger.plug({
      portId: port.id,
      macAddress: port.macAddress,
      mtu: 1442,
      networkId: port.networkId,
    })
    return guest
  }

  async run(program: string, args: readonly string[], okCodes: readonly number[] = [0]): Promise<ExecResult> {
    const [nsenter = "", ...enter] = enterNetns(join(netnsDir, this.netns))
    return await exec(nsenter, [...enter, program, ...args], { okCodes, timeoutMs: 20_000 })
  }

  /** What the lease says; throws without one. */
  async lease(): Promise<string> {
    const script = join(this.#world.dir, "udhcpc.sh")
    const args = ["udhcpc", "-i", "eth0", "-f", "-q", "-n", "-t", "5", "-T", "1", "-s", script]
    return (await this.run("busybox", [...args, "-O", "mtu", "-O", "staticroutes"])).stdout
  }

  /** Serves a page on the TCP port, until the end. */
  serve(port: number): void {
    writeFileSync(join(this.#world.dir, "index.html"), "guest page\n")
    const [nsenter = "", ...enter] = enterNetns(join(netnsDir, this.netns))
    const args = ["busybox", "httpd", "-f", "-p", String(port), "-h", this.#world.dir]
    this.#children.push(spawn(nsenter, [...enter, ...args], { stdio: "ignore" }))
  }

  async pings(address: string, seconds = 1): Promise<boolean> {
    return (
      (await this.run("busybox", ["ping", "-c", "1", "-W", String(seconds), address], [0, 1, 2])).exitCode ===
      0
    )
  }

  async fetches(address: string, port = 80): Promise<boolean> {
    return (await this.get(address, "/", [], port)) === "guest page\n"
  }

  /** The page's text; empty when there is no answer. (Debian's static busybox crashes in its own wget.) */
  async get(address: string, path = "/", headers: readonly string[] = [], port = 80): Promise<string> {
    const [nsenter = "", ...enter] = enterNetns(join(netnsDir, this.netns))
    const lines = [`GET ${path} HTTP/1.0`, `Host: ${address}`, ...headers, "", ""]
    const result = await exec(nsenter, [...enter, "busybox", "nc", "-w", "3", address, String(port)], {
      input: lines.join("\r\n"),
      okCodes: [0, 1],
    })
    return result.stdout.slice(result.stdout.indexOf("\r\n\r\n") + 4)
  }

  async end(): Promise<void> {
    for (const child of this.#children) {
      const gone = new Promise((resolve) => child.once("exit", resolve))
      child.kill("SIGKILL")
      await gone
    }
    await this.#world.plugger.unplug(this.port.id)
    await exec("ip", ["netns", "delete", this.netns])
  }
}

/** Whether the port is open, seen from where the test runs. */
export async function canConnect(address: string, port: number): Promise<boolean> {
  const result = await exec("busybox", ["nc", "-w", "2", address, String(port)], {
    input: "GET / HTTP/1.0\r\n\r\n",
    okCodes: [0, 1],
    timeoutMs: 10_000,
  })
  return result.stdout.includes("guest page")
}

export async function hostPings(address: string): Promise<boolean> {
  return (
    (await exec("busybox", ["ping", "-c", "1", "-W", "1", address], { okCodes: [0, 1, 2] })).exitCode === 0
  )
}

/** Waits until the engine says that all machines' ports are up. */
export async function allUp(world: Pick<World, "driver">, want: NetworkWant): Promise<void> {
  const missing = new Set(
    want.ports.filter((port) => port.kind === "vif" && port.hostId).map((port) => port.id),
  )
  const end = new AbortController()
  const watching = (async () => {
    for await (const event of world.driver.portStates(end.signal))
      if (event.isUp) missing.delete(event.portId)
  })()
  try {
    await eventually("all ports to be up", () => missing.size === 0)
  } finally {
    end.abort()
    await watching
  }
}
