// Guests of the fake hypervisor on their way to another host. What one is goes as a line of JSON in the stream of its
// memory; the other side says when it has it.
import type { Duplex } from "node:stream"
import { text } from "node:stream/consumers"
import type { Clock } from "../../../platform/clock/clock.ts"
import { agentLiveBroken, agentMachineStateWrong } from "../../faults.ts"
import type { LiveFigures, LiveProgress, MachineLayout } from "../../protocol.ts"
import type { LiveStreams, SendLiveHow, VmHandle } from "../hypervisor.ts"
import { type FakeMachine, isOn } from "./fake-machine.ts"

type Guest = Pick<FakeMachine, "console" | "bootedAt">

interface FakeLiveDeps {
  clock: Clock
  /** The beginning of every operation. */
  begin: (operation: string, handle: VmHandle) => Promise<void>
  existing: (handle: VmHandle) => FakeMachine
  turn: (machine: FakeMachine, power: "running" | "paused") => void
  /** Until a guest has been on its way for long enough. */
  copying: (signal: AbortSignal) => Promise<void>
}

const memoryStream = "memory"
const arrived = "arrived"
/** As of a machine that QEMU makes: the cloud wants to hear of one. */
const layout: MachineLayout = { machineType: "pc-i440fx-7.2", places: {} }

export class FakeLive {
  readonly #deps: FakeLiveDeps
  /** Each is aborted when somebody is in a hurry. */
  readonly #leaving = new Map<string, AbortController>()

  constructor(deps: FakeLiveDeps) {
    this.#deps = deps
  }

  async layoutOf(handle: VmHandle): Promise<MachineLayout> {
    await this.#deps.begin("layoutOf", handle)
    this.#running(handle)
    return layout
  }

  async streamsOf(handle: VmHandle): Promise<string[]> {
    const { spec, hasConfigDrive } = this.#deps.existing(handle)
    const own = spec.disks.filter(({ source }) => source.kind !== "volume")
    return [memoryStream, ...(hasConfigDrive ? ["config-drive"] : []), ...own.map(({ name }) => name)]
  }

  async send(handle: VmHandle, streams: LiveStreams, { signal }: SendLiveHow): Promise<LiveFigures> {
    const { clock, begin, turn, copying } = this.#deps
    await begin("sendLive", handle)
    const machine = this.#running(handle)
    const wasRunning = machine.state.power === "running"
    const beginning = clock.monotonicMs()
    const hurried = new AbortController()
    this.#leaving.set(handle.serverId, hurried)
    try {
      await copying(AbortSignal.any([signal, hurried.signal])).catch(() => {})
      signal.throwIfAborted()
      const guest: Guest = { console: machine.console, bootedAt: machine.bootedAt }
      turn(machine, "paused")
      const memoryBytes = await sendGuest(handle.serverId, streams, guest)
      return { downtimeMs: 0, totalMs: Math.round(clock.monotonicMs() - beginning), memoryBytes }
    } catch (error) {
      if (wasRunning) turn(machine, "running")
      throw error
    } finally {
      this.#leaving.delete(handle.serverId)
    }
  }

  async receive(handle: VmHandle, streams: LiveStreams): Promise<void> {
    await this.#deps.begin("receiveLive", handle)
    const memory = memoryOf(handle.serverId, streams)
    const told = await lineOf(memory)
    if (told === null) throw agentLiveBroken(handle.serverId, "it ended in its middle")
    const { console, bootedAt } = JSON.parse(told) as Guest
    const guest: Guest = {
      console: console.map(String),
      bootedAt: bootedAt === null ? null : String(bootedAt),
    }
    this.#deps.turn(Object.assign(this.#deps.existing(handle), guest), "paused")
    memory.end(arrived)
  }

  async progress(handle: VmHandle): Promise<LiveProgress | null> {
    if (!this.#leaving.has(handle.serverId)) return null
    const totalBytes = this.#deps.existing(handle).spec.ramMib * 1024 ** 2
    const disk = { totalBytes: 0, processedBytes: 0, remainingBytes: 0 }
    return { memory: { totalBytes, processedBytes: 0, remainingBytes: totalBytes }, disk }
  }

  async hurry(handle: VmHandle): Promise<void> {
    await this.#deps.begin("hurryLive", handle)
    this.#deps.turn(this.#running(handle), "paused")
    this.#leaving.get(handle.serverId)?.abort()
  }

  #running(handle: VmHandle): FakeMachine {
    const machine = this.#deps.existing(handle)
    if (!isOn(machine)) throw agentMachineStateWrong("migrate", machine.state.power)
    return machine
  }
}

async function sendGuest(serverId: string, streams: LiveStreams, guest: Guest): Promise<number> {
  const line = `${JSON.stringify(guest)}\n`
  const memory = memoryOf(serverId, streams)
  memory.write(line)
  const answer = await text(memory).catch(() => "")
  if (answer !== arrived) throw agentLiveBroken(serverId, "the other side has not got all of it")
  return Buffer.byteLength(line)
}

/** Null: it ended before. */
async function lineOf(stream: Duplex): Promise<string | null> {
  let all = ""
  // Nobody would tell it.
  if (stream.destroyed || stream.readableEnded) return null
  return await new Promise((done) => {
    stream.on("data", (chunk: Buffer) => {
      all += chunk.toString()
      if (all.endsWith("\n")) done(all)
    })
    stream.once("close", () => done(null))
    stream.once("end", () => done(null))
  })
}

function memoryOf(serverId: string, streams: LiveStreams): Duplex {
  const memory = streams[memoryStream]
  if (!memory) throw agentLiveBroken(serverId, "there is no stream for its memory")
  return memory
}
