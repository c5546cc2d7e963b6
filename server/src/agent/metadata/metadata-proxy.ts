// The network side of the metadata service. Each network has a namespace with one interface, joined to the
// network's localport; 169.254.169.254 lives there. One HAProxy listens in all of them and passes requests to
// Kumoi's socket with the guest's address and the network's id. A change of networks is a reload: the new worker
// takes over the listening sockets, the old one ends its connections.
import { createHash } from "node:crypto"
import { chmodSync, chownSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs"
import { createConnection } from "node:net"
import { join } from "node:path"
import { eventually } from "../../platform/clock/clock.ts"
import { inParallel } from "../../platform/clock/in-parallel.ts"
import { exec } from "../../platform/exec/exec.ts"
import { request } from "../../platform/http/node-http.ts"
import { ensureNetns, enterNetns, netnsDir, netnsInode, netnsNames, removeNetns } from "../ports/netns.ts"
import { SwitchPorts, type SwitchPortsOptions } from "../ports/switch-ports.ts"
import type { MetadataNetwork, MetadataReport } from "../protocol.ts"
import { type ProxyNetwork, proxyConfig } from "./proxy-config.ts"

export interface MetadataProxyOptions extends SwitchPortsOptions {
  /** The cloud's namespace; those of the networks are NAME-NETWORKID. */
  netns: string
  metadataSocket: string
  proxyDir: string
}

/** The user that HAProxy's workers become; Debian's package makes it. */
export const proxyUser = "haproxy"
const linkLocal = "169.254.169.254"
const linkLocalV6 = "fe80::a9fe:a9fe"
/** Networks that are made or removed at a time: each waits for a few programs. */
const atOnce = 8
const reloadTimeoutMs = 10_000

export const proxyFiles = (proxyDir: string) => ({
  config: join(proxyDir, "haproxy.cfg"),
  masterSocket: join(proxyDir, "master.sock"),
  aliveSocket: join(proxyDir, "alive.sock"),
  statsSocket: join(proxyDir, "stats.sock"),
})

export class MetadataProxy {
  readonly #options: MetadataProxyOptions
  readonly #ports: SwitchPorts
  #turn: Promise<unknown> = Promise.resolve()
  /** By network: what it was when it was made ready. */
  readonly #ready = new Map<string, string>()

  constructor(options: MetadataProxyOptions) {
    this.#options = options
    this.#ports = new SwitchPorts(options)
  }

  /** Serves exactly these networks. Repeatable; calls wait for each other. What is as it was costs no program. */
  async reconcile(networks: readonly MetadataNetwork[]): Promise<MetadataReport> {
    const turn = this.#turn.then(() => this.#reconcile(networks))
    this.#turn = turn.catch(() => {})
    return await turn
  }

  async #reconcile(networks: readonly MetadataNetwork[]): Promise<MetadataReport> {
    const attached = new Map((await this.#ports.list("metadata")).map((port) => [port.device, port]))
    const changed = networks.filter((network) => !this.#isReady(network, attached))
    const links = changed.length > 0 ? await this.#links() : new Set<string>()
    await inParallel(changed, atOnce, async (network) => {
      await this.#ensureNetwork(network, links)
      this.#ready.set(network.networkId, this.#mark(network))
    })
    await this.#serve(networks.map((network) => this.#proxyNetwork(network.networkId)))
    // Namespaces go after the reload: the old worker had sockets in them.
    const removed = await this.#removeOthers(networks, attached)
    return { changed: changed.length, removed }
  }

  async #removeOthers(
    networks: readonly MetadataNetwork[],
    attached: ReadonlyMap<string, unknown>,
  ): Promise<number> {
    const wanted = new Set(networks.map(deviceName))
    const names = new Set(networks.map((network) => this.#netnsName(network.networkId)))
    const ids = new Set(networks.map((network) => network.networkId))
    for (const networkId of this.#ready.keys()) if (!ids.has(networkId)) this.#ready.delete(networkId)
    const devices = [...attached.keys()].filter((device) => !wanted.has(device))
    const spaces = netnsNames(`${this.#options.netns}-`).filter((name) => !names.has(name))
    await inParallel(devices, atOnce, (device) => this.#removePort(device))
    await inParallel(spaces, atOnce, (name) => removeNetns(name))
    return Math.max(devices.length, spaces.length)
  }

  /** What the network was when it was made ready: another namespace under its name is another mark. */
  #mark(network: MetadataNetwork): string {
    return JSON.stringify([network, netnsInode(this.#netnsName(network.networkId)) ?? 0])
  }

  #isReady(
    network: MetadataNetwork,
    attached: ReadonlyMap<string, { portId: string; isOpen: boolean }>,
  ): boolean {
    const port = attached.get(deviceName(network))
    return (
      port?.portId === network.portId &&
      port.isOpen &&
      this.#ready.get(network.networkId) === this.#mark(network)
    )
  }

  /** Every device of the cloud's namespace, in one look. */
  async #links(): Promise<ReadonlySet<string>> {
    const { stdout } = await exec("ip", ["-n", this.#options.netns, "-o", "link", "show"])
    return new Set([...stdout.matchAll(/^\d+: ([^:@]+)[:@]/gm)].map((match) => match[1] ?? ""))
  }

  async #removePort(device: string): Promise<void> {
    await this.#ports.detach(device)
    await exec("ip", ["-n", this.#options.netns, "link", "delete", device], { okCodes: [0, 1] })
  }

  async #ensureNetwork(network: MetadataNetwork, links: ReadonlySet<string>): Promise<void> {
    const device = deviceName(network)
    const name = this.#netnsName(network.networkId)
    const isNew = netnsInode(name) === undefined
    await ensureNetns(name, undefined)
    if (isNew || !links.has(device)) {
      // Open vSwitch holds on to the device that it opened, not to its name (see OvnPlugger.plug).
      await this.#ports.detach(device)
      await this.#makeLink(device, name, links.has(device))
    }
    await this.#configureLink(name, network)
    await this.#ports.attach({
      device,
      portId: network.portId,
      macAddress: network.macAddress,
      use: "metadata",
    })
  }

  async #makeLink(device: string, name: string, isThere: boolean): Promise<void> {
    const { netns } = this.#options
    const add = `link add ${device} type veth peer name eth0 netns ${name}`
    const lines = [...(isThere ? [`link delete ${device}`] : []), add, `link set ${device} up`]
    await exec("ip", ["-n", netns, "-batch", "-"], { input: `${lines.join("\n")}\n` })
    // As for the host's link: the userspace datapath does not fill in checksums.
    for (const [where, link] of [
      [netns, device],
      [name, "eth0"],
    ] as const) {
      const [program = "", ...enter] = enterNetns(join(netnsDir, where))
      const off = ["tx", "tso", "gso", "gro"].flatMap((feature) => [feature, "off"])
      await exec(program, [...enter, "ethtool", "-K", link, ...off])
    }
  }

  async #configureLink(name: string, network: MetadataNetwork): Promise<void> {
    const lines = [
      // No IPv6 address of the link's own: routers' advertisements are not for it.
      "link set dev eth0 addrgenmode none",
      `link set dev eth0 address ${network.macAddress} up`,
      `address replace ${linkLocalV6}/64 dev eth0 nodad`,
    ]
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
    const atWork = () => aliveRevision(files.aliveSocket)
    if ((await atWork()) === proxyRevision(networks)) return
    const revision = writeProxyConfig(this.#options, networks)
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
    await this.#ports.close()
  }
}

function deviceName(network: MetadataNetwork): string {
  return `md${network.networkId.replaceAll("-", "").slice(0, 12)}`
}

/** Of the text that is written now; one of another form is taken for another configuration. */
const configForm = 2

function proxyRevision(networks: readonly ProxyNetwork[]): string {
  // The inodes count too: a namespace made anew under its old name needs a new listening socket.
  const digest = createHash("sha256").update(`${configForm}\n`)
  for (const { netns } of inOrder(networks)) digest.update(`${netns} ${netnsInode(netns) ?? 0}\n`)
  return digest.digest("hex").slice(0, 16)
}

const inOrder = (networks: readonly ProxyNetwork[]) =>
  networks.toSorted((a, b) => (a.networkId < b.networkId ? -1 : 1))

/** Writes the configuration for these networks and returns its revision. */
export function writeProxyConfig(
  options: { proxyDir: string; metadataSocket: string },
  networks: readonly ProxyNetwork[],
): string {
  const revision = proxyRevision(networks)
  const files = proxyFiles(options.proxyDir)
  const text = proxyConfig(inOrder(networks), { ...options, ...files, user: proxyUser, revision })
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
