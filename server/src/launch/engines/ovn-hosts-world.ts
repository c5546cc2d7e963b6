// The world of the story of many hosts: three network namespaces on one bridge stand for three machines. The test's own
// namespace has the bridge; each host is a process in its own.
import { type ChildProcess, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { enterNetns, netnsDir } from "../../agent/ports/netns.ts"
import { OvnPlugger } from "../../agent/ports/ovn-plugger.ts"
import { type KeyPairFiles, makeAuthority, makeCertificate } from "../../platform/authority/authority.ts"
import { type ExecResult, exec } from "../../platform/exec/exec.ts"
import type { EngineStatus } from "../../platform/supervise/supervisor.ts"
import { answers } from "./ovn-daemon.ts"
import type { HostSettings, Order, Verb } from "./ovn-hosts-host.ts"
import { integrationBridge, type OvnPaths, ovnPaths, type PeerTls } from "./ovn-paths.ts"
import { prepareGuests } from "./ovn-story-world.ts"

const bridge = "story-br"

export interface Wire {
  dir: string
  end(): Promise<void>
}

export async function startWire(): Promise<Wire> {
  const dir = mkdtempSync(join(tmpdir(), "kumoi-ovn-hosts-"))
  await exec("ip", ["link", "add", "name", bridge, "type", "bridge"])
  await exec("ip", ["link", "set", bridge, "up"])
  return {
    dir,
    end: async () => {
      await exec("ip", ["link", "delete", bridge])
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** A machine, and what of it a cloud's host is made of. */
export class StoryHost {
  readonly settings: HostSettings
  readonly address: string
  readonly paths: OvnPaths
  readonly dir: string
  readonly plugger: OvnPlugger
  readonly netns: string
  readonly #port: string
  #process: ChildProcess | undefined

  private constructor(wire: Wire, n: number, settings: Omit<HostSettings, "id" | "dir" | "address">) {
    const id = randomBytes(4).toString("hex")
    this.dir = join(wire.dir, settings.hostId)
    mkdirSync(this.dir)
    prepareGuests(this.dir)
    this.address = `10.77.0.${n}`
    this.settings = { ...settings, id, dir: this.dir, address: null }
    this.paths = ovnPaths(id)
    this.netns = `kh-${id}`
    this.#port = `sh-${id}`
    const { netns, netnsFile, switchSocket } = this.paths
    this.plugger = new OvnPlugger({ switchSocket, integrationBridge, netns, netnsFile })
  }

  static async start(
    wire: Wire,
    n: number,
    settings: Omit<HostSettings, "id" | "dir" | "address">,
  ): Promise<StoryHost> {
    const host = new StoryHost(wire, n, settings)
    await exec("ip", ["netns", "add", host.netns])
    await exec("ip", ["-n", host.netns, "link", "set", "lo", "up"])
    const peer = ["peer", "name", "eth0", "netns", host.netns]
    await exec("ip", ["link", "add", host.#port, "type", "veth", ...peer])
    await exec("ip", ["link", "set", host.#port, "master", bridge, "up"])
    await exec("ip", ["-n", host.netns, "address", "add", `${host.address}/24`, "dev", "eth0"])
    await exec("ip", ["-n", host.netns, "link", "set", "eth0", "up"])
    const [program = "", ...enter] = enterNetns(join(netnsDir, host.netns))
    const script = join(import.meta.dirname, "ovn-hosts-host.ts")
    host.#process = spawn(program, [...enter, process.execPath, script], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    })
    return host
  }

  async do(verb: Verb, word?: string): Promise<unknown> {
    const child = this.#process
    if (!child) throw new Error(`${this.settings.hostId} is gone`)
    const order: Order = { verb, settings: this.settings, ...(word === undefined ? {} : { word }) }
    return await new Promise((resolve, reject) => {
      const ended = () => reject(new Error(`${this.settings.hostId} ended`))
      child.once("exit", ended)
      child.once("message", (answer: { result?: unknown; error?: string }) => {
        child.off("exit", ended)
        if (answer.error === undefined) resolve(answer.result)
        else reject(new Error(answer.error))
      })
      child.send(order)
    })
  }

  async engines(): Promise<EngineStatus[]> {
    return (await this.do("engines")) as EngineStatus[] // what that verb answers
  }

  async pidOf(engine: string): Promise<number> {
    const pid = (await this.engines()).find((each) => each.name === engine)?.pid
    if (!pid) throw new Error(`${engine} does not run on ${this.settings.hostId}`)
    return pid
  }

  /** Runs a program on the host, outside of the cloud's namespace. */
  async run(program: string, args: readonly string[], okCodes: readonly number[] = [0]): Promise<ExecResult> {
    const [nsenter = "", ...enter] = enterNetns(join(netnsDir, this.netns))
    return await exec(nsenter, [...enter, program, ...args], { okCodes, timeoutMs: 20_000 })
  }

  async pings(address: string): Promise<boolean> {
    const args = ["ping", "-c", "1", "-W", "1", address]
    return (await this.run("busybox", args, [0, 1, 2])).exitCode === 0
  }

  /** Where programs listen on the host, outside of the cloud's namespace. */
  async listeners(): Promise<string[]> {
    const { stdout } = await this.run("ss", ["-Hltn"])
    const all = stdout.split("\n").map((line) => line.trim().split(/\s+/)[3] ?? "")
    return all.filter((each) => each !== "")
  }

  /** Whether its ovn-controller has the southbound database. */
  async hearsDatabase(): Promise<boolean> {
    return await answers(this.paths, "ovn-controller", "connection-status", /^connected/)
  }

  /** Pulls the machine's cable, or puts it back. */
  async cable(state: "up" | "down"): Promise<void> {
    await exec("ip", ["link", "set", this.#port, state])
  }

  /** What is on the machine that a cloud might have left there. */
  async traces(): Promise<Record<string, string>> {
    const links = (await this.run("ip", ["-o", "link"])).stdout.matchAll(/^\d+: (\S+?)[:@]/gm)
    return {
      links: [...links].map((match) => match[1]).join(" "),
      nft: (await this.run("nft", ["list", "ruleset"])).stdout,
      forward: (await this.run("cat", ["/proc/sys/net/ipv4/ip_forward"])).stdout,
    }
  }

  async end(): Promise<void> {
    await this.plugger[Symbol.asyncDispose]()
    const child = this.#process
    this.#process = undefined
    if (child && child.exitCode === null) {
      const gone = new Promise((resolve) => child.once("exit", resolve))
      child.kill("SIGKILL")
      await gone
    }
    await exec("ip", ["netns", "delete", this.netns])
  }
}

/** An authority of a test's own. */
export class StoryAuthority {
  readonly #dir: string
  readonly #name: string

  private constructor(dir: string, name: string) {
    this.#dir = dir
    this.#name = name
  }

  static async make(dir: string, name: string): Promise<StoryAuthority> {
    const authority = new StoryAuthority(dir, name)
    await makeAuthority(authority.#files(name), name)
    return authority
  }

  /** The certificate that was there for this name is replaced. */
  async sign(name: string): Promise<PeerTls> {
    const [files, ca] = [this.#files(name), this.#files(this.#name)]
    const wish = { commonName: name, names: [name], usages: ["serverAuth", "clientAuth"], days: 2 } as const
    await makeCertificate(files, ca, wish)
    return { ...files, caFile: ca.certFile }
  }

  #files(name: string): KeyPairFiles {
    const path = join(this.#dir, `${this.#name}-${name}`)
    return { certFile: `${path}.pem`, keyFile: `${path}.key` }
  }
}

/** Where the story's door is, on the central host. */
export const southboundPort = 6642

/** What ovn-sbctl says: on the central host as who may do all, with a certificate as the host that shows it. */
export async function askSouthbound(
  central: StoryHost,
  host: StoryHost,
  args: readonly string[],
  tls?: PeerTls,
): Promise<string> {
  const files = tls
    ? [`--private-key=${tls.keyFile}`, `--certificate=${tls.certFile}`, `--ca-cert=${tls.caFile}`]
    : []
  const remote = tls ? `ssl:${central.address}:${southboundPort}` : `unix:${central.paths.southboundSocket}`
  const all = [`--db=${remote}`, "--timeout=5", "--bare", ...files, ...args]
  const { stdout, stderr } = await host.run("ovn-sbctl", all, [0, 1])
  return `${stdout}${stderr}`.trim()
}

/** Asks again and again until the work is done. */
export async function asking<T>(ask: () => Promise<unknown>, work: Promise<T>): Promise<T> {
  let isDone = false
  const asked = (async () => {
    while (!isDone) await ask()
  })()
  return await work.finally(async () => {
    isDone = true
    await asked
  })
}
