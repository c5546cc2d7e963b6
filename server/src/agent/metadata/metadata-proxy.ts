// The network side of the metadata service. Each network has a namespace with one interface, joined to the
// network's localport; 169.254.169.254 lives there. One HAProxy listens in all of them and passes requests to
// Kumoi's socket with the guest's address and the network's id. A change of networks is a reload: the new worker
// takes over the listening sockets, the old one ends its connections.
import { createHash } from "node:crypto"
import { chmodSync, chownSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs"
import { request } from "node:http"
import { createConnection } from "node:net"
import { join } from "node:path"
import { eventually } from "../../platform/clock/clock.ts"
import { exec } from "../../platform/exec/exec.ts"
import { OvsdbClient } from "../../platform/ovsdb/index.ts"
import { ensureNetns, enterNetns, netnsDir, netnsInode, netnsNames, removeNetns } from "../ports/netns.ts"
import { SwitchPorts, switchTables } from "../ports/switch-ports.ts"
import { type ProxyNetwork, proxyConfig } from "./proxy-config.ts"

export interface MetadataNetwork {
  networkId: string
  /** The network's metadata port. */
  portId: string
  macAddress: string
  /** The port's addresses, to which DHCP sends the guests' route for 169.254.169.254. */
  serviceIps: readonly string[]
}

export interface MetadataProxyOptions {
  /** The cloud's namespace; those of the networks are NAME-NETWORKID. */
  netns: string
  switchSocket: string
  integrationBridge: string
  metadataSocket: string
  proxyDir: string
}

/** The user that HAProxy's workers become; Debian's package makes it. */
export const proxyUser = "haproxy"
const linkLocal = "169.254.169.254"
const reloadTimeoutMs = 10_000

export const proxyFiles = (proxyDir: string) => ({
  config: join(proxyDir, "haproxy.cfg"),
  masterSocket: join(proxyDir, "master.sock"),
  aliveSocket: join(proxyDir, "alive.sock"),
  statsSocket: join(proxyDir, "stats.sock"),
})

export class MetadataProxy {
  readonly #options: MetadataProxyOptions
  readonly #client: OvsdbClient
  readonly #ports: SwitchPorts
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: MetadataProxyOptions) {
    this.#options = options
    this.#client = new OvsdbClient({
      socketPath: options.switchSocket,
      database: "Open_vSwitch",
      tables: switchTables,
    })
    this.#ports = new SwitchPorts(this.#client, options.integrationBridge)
  }

  /** Serves exactly these networks. Repeatable; calls wait for each other. */
  async reconcile(networks: readonly MetadataNetwork[]): Promise<void> {
    const turn = this.#turn.then(() => this.#reconcile(networks))
    this.#turn = turn.catch(() => {})
    await turn
  }

  async #reconcile(networks: readonly MetadataNetwork[]): Promise<void> {
    const wanted = new Map(networks.map((network) => [deviceName(network), network]))
    const attached = await this.#ports.list("metadata")
    for (const network of networks) await this.#ensureNetwork(network)
    await this.#serve(networks.map((network) => this.#proxyNetwork(network.networkId)))
    // Namespaces go after the reload: the old worker had sockets in them.
    for (const port of attached) if (!wanted.has(port.device)) await this.#removePort(port.device)
    const names = new Set(networks.map((network) => this.#netnsName(network.networkId)))
    for (const name of netnsNames(`${this.#options.netns}-`)) if (!names.has(name)) await removeNetns(name)
  }

  async #removePort(device: string): Promise<void> {
    await this.#ports.detach(device)
    await exec("ip", ["-n", this.#options.netns, "link", "delete", device], { okCodes: [0, 1] })
  }

  async #ensureNetwork(network: MetadataNetwork): Promise<void> {
    const device = deviceName(network)
    const name = this.#netnsName(network.networkId)
    const isNew = netnsInode(name) === undefined
    await ensureNetns(name, undefined)
    if (isNew || !(await this.#hasLink(device))) {
      // Open vSwitch holds on to the device that it opened, not to its name (see OvnPlugger.plug).
      await this.#ports.detach(device)
      await this.#makeLink(device, name)
    }
    await this.#configureLink(name, network)
    await this.#ports.attach({
      device,
      portId: network.portId,
      macAddress: network.macAddress,
      use: "metadata",
    })
  }

  async #hasLink(device: string): Promise<boolean> {
    const show = ["-n", this.#options.netns, "-o", "link", "show", "dev", device]
    return (await exec("ip", show, { okCodes: [0, 1] })).exitCode === 0
  }

  async #makeLink(device: string, name: string): Promise<void> {
    const { netns } = this.#options
    await exec("ip", ["-n", netns, "link", "delete", device], { okCodes: [0, 1] })
    await exec("ip", [
      "-n",
      netns,
      "link",
      "add",
      device,
      "type",
      "veth",
      "peer",
      "name",
      "eth0",
      "netns",
      name,
    ])
    // As for the host's link: the userspace datapath does not fill in checksums.
    for (const [where, link] of [
      [netns, device],
      [name, "eth0"],
    ] as const) {
      const [program = "", ...enter] = enterNetns(join(netnsDir, where))
      await exec(program, [
        ...enter,
        "ethtool",
        "-K",
        link,
        "tx",
        "off",
        "tso",
        "off",
        "gso",
        "off",
        "gro",
        "off",
      ])
    }
    await exec("ip", ["-n", netns, "link", "set", device, "up"])
  }

  async #configureLink(name: string, network: MetadataNetwork): Promise<void> {
    const lines = [`link set dev eth0 address ${network.macAddress} up`]
    for (const ip of [linkLocal, ...network.serviceIps]) {
      const address = ip.split("/")[0] ?? ip
      lines.push(`address replace ${address}/${address.includes(":") ? 128 : 32} dev eth0`)
    }
    // Every guest of the network is a neighbour here, whatever its subnet.
    lines.push("route replace default dev eth0 scope link")
    await exec("ip", ["-n", name, "-batch", "-"], { input: `${lines.join("\n")}\n` })
  }

  #netnsName(networkId: string): string {
    return `${this.#options.netns}-${networkId}`
  }

  #proxyNetwork(networkId: string): ProxyNetwork {
    return { networkId, netns: this.#netnsName(networkId) }
  }

  async #serve(networks: readonly ProxyNetwork[]): Promise<void> {
    const files = proxyFiles(this.#options.proxyDir)
    const revision = writeProxyConfig(this.#options, networks)
    const atWork = () => aliveRevision(files.aliveSocket)
    if ((await atWork()) === revision) return
    await sendCommand(files.masterSocket, "reload")
    await eventually(
      "the metadata proxy to take its configuration",
      async () => (await atWork()) === revision,
      {
        timeoutMs: reloadTimeoutMs,
      },
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.close()
  }
}

function deviceName(network: MetadataNetwork): string {
  return `md${network.networkId.replaceAll("-", "").slice(0, 12)}`
}

/** Writes the configuration for these networks and returns its revision. */
export function writeProxyConfig(
  options: { proxyDir: string; metadataSocket: string },
  networks: readonly ProxyNetwork[],
): string {
  const sorted = networks.toSorted((a, b) => (a.networkId < b.networkId ? -1 : 1))
  // The inodes count too: a namespace made anew under its old name needs a new listening socket.
  const digest = createHash("sha256")
  for (const network of sorted) digest.update(`${network.netns} ${netnsInode(network.netns) ?? 0}\n`)
  const revision = digest.digest("hex").slice(0, 16)
  const files = proxyFiles(options.proxyDir)
  const text = proxyConfig(sorted, { ...options, ...files, user: proxyUser, revision })
  mkdirSync(options.proxyDir, { recursive: true, mode: 0o700 })
  writeFileSync(`${files.config}.tmp`, text, { mode: 0o600 })
  renameSync(`${files.config}.tmp`, files.config)
  return revision
}

/**
 * Before the proxy starts: a configuration that names a lost namespace would keep it from starting at all, so only
 * networks whose namespace is there stay until the next reconcile.
 */
export function prepareProxyConfig(options: {
  netns: string
  proxyDir: string
  metadataSocket: string
}): void {
  const prefix = `${options.netns}-`
  const networks = netnsNames(prefix)
    .filter((name) => netnsInode(name) !== undefined)
    .map((netns) => ({ networkId: netns.slice(prefix.length), netns }))
    .filter((network) => wasServed(options.proxyDir, network.networkId))
  writeProxyConfig(options, networks)
}

function wasServed(proxyDir: string, networkId: string): boolean {
  try {
    return readFileSync(proxyFiles(proxyDir).config, "utf8").includes(`frontend network_${networkId}\n`)
  } catch {
    return false
  }
}

/** Lets the proxy's workers reach the metadata service's socket, and nobody else. Call it after `listen`. */
export async function shareWithProxy(socketPath: string): Promise<void> {
  const { stdout } = await exec("id", ["-u", proxyUser])
  chownSync(socketPath, Number(stdout), statSync(socketPath).gid)
  chmodSync(socketPath, 0o600)
}

/** The revision that the proxy works with; undefined when it does not answer. */
export async function aliveRevision(aliveSocket: string): Promise<string | undefined> {
  return await new Promise((resolve) => {
    const call = request({ socketPath: aliveSocket, path: "/", agent: false, timeout: 1_000 }, (response) => {
      let text = ""
      response.setEncoding("utf8")
      response.on("data", (chunk: string) => {
        text += chunk
      })
      response.on("end", () => resolve(text.trim()))
      response.on("error", () => resolve(undefined))
    })
    call.on("timeout", () => call.destroy())
    call.on("error", () => resolve(undefined))
    call.end()
  })
}

async function sendCommand(masterSocket: string, command: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const socket = createConnection(masterSocket)
    socket.setTimeout(5_000, () => socket.destroy(new Error("the metadata proxy's master does not answer")))
    socket.on("connect", () => socket.end(`${command}\n`))
    socket.on("error", reject)
    socket.on("close", () => resolve())
    socket.resume()
  })
}
