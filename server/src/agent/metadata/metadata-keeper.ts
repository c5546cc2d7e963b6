// Keeps answering the guests of the networks that the cloud named last: also after a reboot of the host, before the
// cloud speaks, and whatever becomes of the proxy's ports in between.
import type { Clock } from "../../platform/clock/clock.ts"
import { describeError } from "../../platform/fault/fault.ts"
import type { Logger } from "../../platform/log/log.ts"
import { agentMetadataFailed } from "../faults.ts"
import type { MetadataNetwork, MetadataReport } from "../protocol.ts"
import { readStateFile, writeStateFile } from "../state-file.ts"

/** What answers guests at 169.254.169.254. */
export interface MetadataServer {
  /** Serves exactly these networks. Repeatable, and cheap when they are served; calls wait for each other. */
  reconcile(networks: readonly MetadataNetwork[]): Promise<MetadataReport>
}

export interface MetadataKeeperOptions {
  /** Null: this host's network has none. */
  server: MetadataServer | null
  stateFile: string
  clock: Clock
  log: Logger
  stop: AbortSignal
}

const intervalMs = 30_000

export class MetadataKeeper {
  readonly #options: MetadataKeeperOptions
  #told: readonly MetadataNetwork[] | undefined
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: MetadataKeeperOptions) {
    this.#options = options
    this.#told = readStateFile(options.stateFile) as readonly MetadataNetwork[] | undefined
  }

  get canServe(): boolean {
    return this.#options.server !== null
  }

  async serve(networks: readonly MetadataNetwork[]): Promise<MetadataReport> {
    return await this.#inTurn(async () => {
      const { server, stateFile } = this.#options
      if (!server) return { changed: 0, removed: 0 }
      if (JSON.stringify(networks) !== JSON.stringify(this.#told)) {
        await writeStateFile(stateFile, networks)
        this.#told = networks
      }
      return await server.reconcile(networks).catch((error: unknown) => {
        throw Object.assign(agentMetadataFailed(describeError(error)), { cause: error })
      })
    })
  }

  /** Until `stop`; looks at once, and then ever again. */
  async keep(): Promise<void> {
    const { clock, log, server, stop } = this.#options
    while (server && !stop.aborted) {
      try {
        await this.#inTurn(async () => {
          if (this.#told) await server.reconcile(this.#told)
        })
      } catch (error) {
        log.warn({ err: error }, "the metadata proxy is not as it should be; it is tried again")
      }
      await clock.sleep(intervalMs, stop).catch(() => {})
    }
  }

  async #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(task)
    this.#turn = turn.catch(() => {})
    return await turn
  }
}
