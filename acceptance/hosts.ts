// Further hosts for a cloud: each a network namespace with an address of its own, joined by a cable to a bridge in the
// cloud's. The cable can be pulled.
import { randomBytes } from "node:crypto"
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type RunResult, run, type TestCloud } from "./cloud.ts"

export const cloudAddress = "10.99.0.1"

/** The bridge inside the cloud's namespace that the hosts' namespaces are joined to. */
const hostBridge = "br-hosts"
export const hostBridges = { [hostBridge]: `${cloudAddress}/24` }

export class TestHost implements AsyncDisposable {
  readonly name: string
  readonly dataDir: string
  readonly #cloud: TestCloud
  readonly #namespace: string
  readonly #cable: string
  readonly #address: string
  readonly #env: Record<string, string>
  /** Where its program lies: the cloud's, until a test of upgrades changes it. */
  tree: string

  private constructor(cloud: TestCloud, number: number, env: Record<string, string>) {
    this.#env = env
    this.name = `host${number}`
    this.dataDir = mkdtempSync(join(tmpdir(), "kumoi-acceptance-host-"))
    this.#cloud = cloud
    this.tree = cloud.tree
    const id = randomBytes(3).toString("hex")
    this.#namespace = `kumoi-test-${id}`
    this.#cable = `cable-${id}`
    this.#address = `10.99.0.${number}`
  }

  /** `number` from 2 on. It has its namespace, and has not joined. `env`: where it differs from the cloud's. */
  static async make(cloud: TestCloud, number: number, env: Record<string, string> = {}): Promise<TestHost> {
    const host = new TestHost(cloud, number, env)
    try {
      await host.#makeNamespace()
      return host
    } catch (error) {
      await host[Symbol.asyncDispose]()
      throw error
    }
  }

  async #makeNamespace(): Promise<void> {
    const own = this.#namespace
    const { namespace } = this.#cloud
    if (namespace === null) throw new Error("the cloud is in no namespace of its own")
    await run("ip", ["netns", "add", own])
    await run("ip", ["-n", own, "link", "set", "lo", "up"])
    const peer = ["peer", "name", "eth0", "netns", own]
    await run("ip", ["-n", namespace, "link", "add", this.#cable, "type", "veth", ...peer])
    await run("ip", ["-n", namespace, "link", "set", this.#cable, "master", hostBridge, "up"])
    await run("ip", ["-n", own, "address", "add", `${this.#address}/24`, "dev", "eth0"])
    await run("ip", ["-n", own, "link", "set", "eth0", "up"])
  }

  /** A bridge of the same name as one in the cloud's namespace, with a cable between the two. */
  async makeBridge(name: string): Promise<void> {
    const own = this.#namespace
    const { namespace } = this.#cloud
    if (namespace === null) throw new Error("the cloud is in no namespace of its own")
    const [cable, end] = [`${name}-${this.name}`, `${name}-0`]
    await run("ip", ["-n", own, "link", "add", name, "type", "bridge"])
    const peer = ["peer", "name", end, "netns", own]
    await run("ip", ["-n", namespace, "link", "add", cable, "type", "veth", ...peer])
    await run("ip", ["-n", namespace, "link", "set", cable, "master", name, "up"])
    await run("ip", ["-n", own, "link", "set", end, "master", name, "up"])
    await run("ip", ["-n", own, "link", "set", name, "up"])
  }

  /** A further cable, to this bridge of the cloud's namespace. */
  async addStorage(bridge: string, address: string): Promise<void> {
    const own = this.#namespace
    const { namespace } = this.#cloud
    if (namespace === null) throw new Error("the cloud is in no namespace of its own")
    const cable = `s-${this.#cable}`
    await run("ip", [
      "-n",
      namespace,
      "link",
      "add",
      cable,
      "type",
      "veth",
      "peer",
      "name",
      "eth1",
      "netns",
      own,
    ])
    await run("ip", ["-n", namespace, "link", "set", cable, "master", bridge, "up"])
    await run("ip", ["-n", own, "address", "add", address, "dev", "eth1"])
    await run("ip", ["-n", own, "link", "set", "eth1", "up"])
  }

  /** By the line that the cloud prints. */
  async join(...more: string[]): Promise<string> {
    const { stdout } = await this.#cloud.kumoi("host", "token")
    const [, url = "", token = ""] = /host join (\S+) (\S+)/.exec(stdout) ?? []
    const words = ["join", url, token, "--name", this.name, "--yes", ...more]
    return (await this.kumoi("host", ...words)).stdout
  }

  /** As a further control host, by the line that the cloud prints for one. */
  async joinAsControl(...flags: string[]): Promise<string> {
    const { stdout } = await this.#cloud.kumoi("host", "token", "--control")
    const [, url = "", token = ""] = /up --join (\S+) (\S+)/.exec(stdout) ?? []
    return await this.upAsControl("--join", url, token, "--control", "--name", this.name, ...flags)
  }

  async upAsControl(...more: string[]): Promise<string> {
    return (await this.kumoi("up", "--detach", "--yes", "--listen", this.#address, ...more)).stdout
  }

  kumoi(command: string, ...args: string[]): Promise<RunResult> {
    const env = { ...this.#cloud.env, ...this.#env }
    return this.inside(join(this.tree, "kumoi"), [command, "--data", this.dataDir, ...args], {
      ...{ timeoutMs: 300_000, env },
    })
  }

  inside(file: string, args: readonly string[], options: Parameters<typeof run>[2] = {}): Promise<RunResult> {
    return run("ip", ["netns", "exec", this.#namespace, file, ...args], options)
  }

  /** Whether its ovn-controller has the cloud's southbound database. */
  async hearsNetwork(): Promise<boolean> {
    const { cloudId } = JSON.parse(readFileSync(join(this.dataDir, "cloud.json"), "utf8"))
    const found = globSync(`/run/kumoi-${cloudId}/ovn-controller.*.ctl`)
    const asked = ["-t", String(found[0]), "connection-status"]
    return (await this.inside("ovn-appctl", asked)).stdout.startsWith("connected")
  }

  /** kill -9 of its process, and of the parent that would start it again. */
  async killForGood(): Promise<void> {
    const { stdout } = await this.inside(
      join(this.tree, "kumoi"),
      ["status", "--data", this.dataDir, "--json"],
      {
        isChecked: false,
      },
    )
    const { components } = JSON.parse(stdout) as { components: { name: string; pid: number | null }[] }
    for (const name of ["parent", "kumoi"]) {
      const pid = components.find((c) => c.name === name)?.pid
      if (!pid) throw new Error(`the host has no ${name}`)
      process.kill(pid, "SIGKILL")
    }
  }

  /** Where its agent keeps what it has of a server. */
  #machineDir(serverId: string): string {
    return join(this.dataDir, "agent/vms", serverId)
  }

  hasMachine(serverId: string): boolean {
    return existsSync(this.#machineDir(serverId))
  }

  /** Of the QEMU that the host has started for the server. */
  machinePid(serverId: string): number {
    const { handle } = JSON.parse(readFileSync(join(this.#machineDir(serverId), "machine.json"), "utf8"))
    return handle.process.pid
  }

  async pullCable(): Promise<void> {
    await this.#cloud.inside("ip", ["link", "set", this.#cable, "down"])
  }

  async plugCable(): Promise<void> {
    await this.#cloud.inside("ip", ["link", "set", this.#cable, "up"])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const args = ["down", "--data", this.dataDir, "--grace", "0", "--purge"]
    await this.inside(join(this.tree, "kumoi"), args, { timeoutMs: 180_000, isChecked: false })
    await run("ip", ["netns", "delete", this.#namespace], { isChecked: false })
    rmSync(this.dataDir, { recursive: true, force: true })
  }
}
