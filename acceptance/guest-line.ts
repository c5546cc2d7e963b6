// One connection to a guest that is kept all the time: the guest says a word every fifth of a second.
import type { ChildProcess } from "node:child_process"
import { sshOptions, type TestCloud } from "./cloud.ts"

export class GuestLine implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #ended: Promise<number | null>
  #lastMs = performance.now()
  /** Milliseconds between two words, at the most; the way of both ends through this machine is in it. */
  longestGapMs = 0
  words = 0
  /** What is wrong with it; null while it lasts. */
  end: string | null = null

  constructor(cloud: TestCloud, address: string, keyFile: string) {
    const loop = "while :; do echo word; sleep 0.2; done"
    // Nobody gives the connection up but the network between the two.
    const args = ["-i", keyFile, ...sshOptions, "-o", "ServerAliveInterval=0", `cirros@${address}`, loop]
    this.#child = cloud.spawnInside("ssh", args)
    this.#child.stdout?.on("data", () => this.#hear())
    this.#ended = new Promise((resolve) => this.#child.once("exit", resolve))
    void this.#ended.then((code) => {
      this.end ??= `ssh ended with ${code}`
    })
  }

  #hear(): void {
    const now = performance.now()
    if (this.words > 0) this.longestGapMs = Math.max(this.longestGapMs, Math.round(now - this.#lastMs))
    this.#lastMs = now
    this.words++
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end ??= "it was closed"
    this.#child.kill("SIGKILL")
    await this.#ended
  }
}
