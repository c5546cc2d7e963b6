// Machines that go to another host, or come from one, while their guests run. The guest is halted at both ends when the
// commands are over: which of the two goes on is the cloud's to say, once its rows say so. Called from the machine's
// queue, after the fence was accepted, but for what looks at a migration, or ends it.
import type { Duplex } from "node:stream"
import type { StreamDialer } from "./consoles.ts"
import { type AgentContext, existing, handleOf } from "./context.ts"
import { agentAbilityMissing, agentLiveAborted, agentLiveBroken, agentMachineExists } from "./faults.ts"
import { canMigrateLive, type Hypervisor, type MigratesLive } from "./hypervisor/hypervisor.ts"
import { prepareMachine, setMachinePower } from "./machine-commands.ts"
import type { AgentCommands, VmState } from "./protocol.ts"

type Args<C extends keyof AgentCommands> = AgentCommands[C]["args"]
type Result<C extends keyof AgentCommands> = AgentCommands[C]["result"]

export interface LiveCommandsOptions {
  context: AgentContext
  streams: StreamDialer
}

export class LiveCommands {
  readonly #options: LiveCommandsOptions
  /** What is on its way, by the server. */
  readonly #running = new Map<string, AbortController>()

  constructor(options: LiveCommandsOptions) {
    this.#options = options
  }

  async layout({ serverId }: Args<"vm.layout">): Promise<Result<"vm.layout">> {
    const { context } = this.#options
    const handle = handleOf(context, serverId, existing(context, serverId))
    const hypervisor = this.#hypervisor()
    const [layout, streams] = await Promise.all([hypervisor.layoutOf(handle), hypervisor.liveStreams(handle)])
    return { ...layout, streams }
  }

  async send(args: Args<"vm.send_live">, signal: AbortSignal): Promise<Result<"vm.send_live">> {
    const { context } = this.#options
    const { serverId, streamIds } = args
    const record = existing(context, serverId)
    const hypervisor = this.#hypervisor()
    return await this.#onItsWay(serverId, streamIds, signal, async (streams, until) => {
      const handle = handleOf(context, serverId, record)
      // A host that loses its power meanwhile does not start it again by itself: it may run elsewhere by then.
      await context.machines.put({ ...record, wanted: "shutdown" }, { isIntent: true })
      try {
        const figures = await hypervisor.sendLive(handle, streams, { ...args, signal: until })
        const state = await hypervisor.inspect(handle)
        await context.machines.put({ ...record, wanted: "shutdown", state })
        return figures
      } catch (error) {
        await context.machines.put(record)
        throw error
      }
    })
  }

  async receive(args: Args<"vm.receive_live">, signal: AbortSignal): Promise<Result<"vm.receive_live">> {
    const { context } = this.#options
    const { spec, layout, streamIds, tickets } = args
    const { serverId } = spec
    const hypervisor = this.#hypervisor()
    const prior = context.machines.get(serverId)
    // Whatever the cloud's rows say: what runs here, or was made here, is no try of before.
    if (prior && !prior.isArriving) throw agentMachineExists(serverId)
    return await this.#onItsWay(serverId, streamIds, signal, async (streams, until) => {
      const power = "paused" as const
      const { input, revert } = await prepareMachine(context, spec, power, tickets)
      await using undo = revert
      await context.machines.put({ ...existing(context, serverId), isArriving: true }, { isIntent: true })
      const arriving = { ...input, power }
      const handle = await hypervisor.receiveLive(arriving, layout, streams, until, context.volumeKeys)
      const state = await hypervisor.inspect(handle)
      await context.machines.put({ spec, wanted: power, handle, state, isArriving: true })
      undo.done()
      return { ...state, isPlugged: input.vifs.some(({ device }) => device !== null) }
    })
  }

  /** Gives up what is on its way from here. A guest that has ended meanwhile stays off: nobody has asked for it. */
  async stay({ serverId, power }: Args<"vm.stay">): Promise<VmState> {
    const { context } = this.#options
    const record = existing(context, serverId)
    const handle = handleOf(context, serverId, record)
    await this.#hypervisor().endLive(handle)
    const state = await context.hypervisor.inspect(handle)
    if (state.power === "running" || state.power === "paused")
      return await setMachinePower(context, serverId, power, 0)
    await context.machines.put({ ...record, wanted: power, state })
    return state
  }

  async progress({ serverId }: Args<"vm.live_progress">): Promise<Result<"vm.live_progress">> {
    const { context } = this.#options
    const record = context.machines.get(serverId)
    if (!record || !this.#running.has(serverId)) return { progress: null }
    return { progress: await this.#hypervisor().liveProgress(handleOf(context, serverId, record)) }
  }

  async hurry({ serverId }: Args<"vm.hurry_live">): Promise<Record<string, never>> {
    const { context } = this.#options
    if (!this.#running.has(serverId)) throw agentLiveBroken(serverId, "it is on no way")
    await this.#hypervisor().hurryLive(handleOf(context, serverId, existing(context, serverId)))
    return {}
  }

  async giveUp({ serverId }: Args<"vm.abort_live">): Promise<Record<string, never>> {
    if (!this.abort(serverId)) throw agentLiveBroken(serverId, "it is on no way")
    return {}
  }

  /** Whatever waits for it is told so. False: nothing was on its way. */
  abort(serverId: string): boolean {
    const running = this.#running.get(serverId)
    running?.abort(agentLiveAborted(serverId))
    return running !== undefined
  }

  async #onItsWay<T>(
    serverId: string,
    streamIds: Readonly<Record<string, string>>,
    signal: AbortSignal,
    task: (streams: Record<string, Duplex>, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const abort = new AbortController()
    this.#running.set(serverId, abort)
    const streams: Record<string, Duplex> = {}
    try {
      const dial = async ([name, id]: [string, string]) => {
        const stream = await this.#options.streams.dial(id)
        // Told by whoever reads it, who may not have begun.
        stream.on("error", () => {})
        streams[name] = stream
      }
      await Promise.all(Object.entries(streamIds).map(dial))
      return await task(streams, AbortSignal.any([signal, abort.signal]))
    } finally {
      this.#running.delete(serverId)
      for (const stream of Object.values(streams)) stream.destroy()
    }
  }

  #hypervisor(): Hypervisor & MigratesLive {
    const { hypervisor } = this.#options.context
    if (!canMigrateLive(hypervisor)) throw agentAbilityMissing(hypervisor.name, "migrate a running machine")
    return hypervisor
  }
}
