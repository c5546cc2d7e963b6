// A joined host whose agent dies where a test says, and starts again.
import { type ChildProcess, fork } from "node:child_process"
import { join } from "node:path"
import type { Death, Told } from "./dying-host.ts"
import type { HostsCloud } from "./hosts-cloud.ts"

export class MortalHost {
  readonly name: string
  readonly #dataDir: string
  #child: ChildProcess | null = null
  readonly calls: string[] = []
  deaths = 0
  /** Called at each death. */
  onDeath: () => void = () => {}

  private constructor(name: string, dataDir: string) {
    this.name = name
    this.#dataDir = dataDir
  }

  static async join(at: HostsCloud, name: string): Promise<MortalHost> {
    await at.joinAs(name)
    const host = new MortalHost(name, join(at.scratch, name))
    await host.#start()
    return host
  }

  async #start(): Promise<void> {
    const child = fork(join(import.meta.dirname, "dying-host.ts"), [this.#dataDir])
    this.#child = child
    const ready = Promise.withResolvers<void>()
    child.on("message", (told: Told) => {
      if ("isReady" in told) ready.resolve()
      else this.calls.push(told.call)
    })
    child.once("exit", (_code, signal) => {
      ready.reject(new Error("the host ended as it began"))
      if (this.#child !== child || signal !== "SIGKILL") return
      this.deaths++
      this.onDeath()
      // One that dies as it begins has its next start.
      this.#start().catch(() => {})
    })
    await ready.promise
  }

  tell(death: Death): void {
    this.calls.length = 0
    this.#child?.send(death)
  }

  /** It dies now. */
  kill(): void {
    this.#child?.kill("SIGKILL")
  }

  end(): void {
    const child = this.#child
    this.#child = null
    child?.kill("SIGKILL")
  }
}
