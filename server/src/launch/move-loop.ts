// Moves servers to other hosts, one or all of a host, also of one that is down, by asking the cloud what is and saying
// what comes next. It keeps nothing: broken off, it may be said again, and then goes on with what it finds.
import type { MoveWay } from "../compute/index.ts"
import { inParallel } from "../platform/clock/in-parallel.ts"
import { Fault } from "../platform/fault/fault.ts"
import type { MoveAction, MoveAnswers, MoveQuestions, ServerToMove } from "./move-answer.ts"

export type AskMove = <A extends MoveAction>(action: A, question: MoveQuestions[A]) => Promise<MoveAnswers[A]>

interface OfServer {
  id: string
  name: string
}

export type MoveEvent =
  /** `isFound`: it was on its way already. */
  | ({ event: "begins"; way: MoveWay; isFound: boolean } & OfServer)
  | ({ event: "percent"; percent: number; to: string | null } & OfServer)
  /** Milliseconds since it began, or since it was found on its way. */
  | ({ event: "moved"; way: MoveWay; to: string; ms: number } & OfServer)
  | ({ event: "deleted" } & OfServer)
  | ({ event: "failed"; why: string } & OfServer)
  | ({ event: "left"; why: string } & OfServer)
  | { event: "sum"; host: string; live: number; cold: number; anew: number; left: number; ms: number }

export interface MoveParts {
  ask: AskMove
  tell: (event: MoveEvent) => void
  /** Between two looks at one that is on its way. */
  pause: () => Promise<void>
  nowMs: () => number
}

export interface Drain {
  host: string
  atOnce: number
  mayStop: boolean
}

/** Whether the host is empty now. */
export async function drainHost(parts: MoveParts, { host, atOnce, mayStop }: Drain): Promise<boolean> {
  const { ask } = parts
  await ask("close", { host })
  const list = async () => (await ask("servers", { host, mayStop })).servers
  return await moveAll(parts, { host, atOnce, list })
}

export type Evacuate = Pick<Drain, "host" | "atOnce">

/** The same of a host that is down. */
export async function evacuateHost(parts: MoveParts, { host, atOnce }: Evacuate): Promise<boolean> {
  const list = async () => (await parts.ask("lost", { host })).servers
  return await moveAll(parts, { host, atOnce, list })
}

interface MoveAll extends Evacuate {
  /** What is on the host now. */
  list: () => Promise<ServerToMove[]>
}

async function moveAll(parts: MoveParts, { host, atOnce, list }: MoveAll): Promise<boolean> {
  const { tell, nowMs } = parts
  const beganMs = nowMs()
  const moved = { live: 0, cold: 0, anew: 0 }
  const tried = new Set<string>()
  const failed = new Set<string>()
  const keyOf = ({ id, stand }: ServerToMove) => `${id} ${stand.is}`
  for (;;) {
    // Others may have come, or be free now: those that were on their way here, or had a task.
    const servers = await list()
    const next = servers.filter((each) => each.stand.is !== "stays" && !tried.has(keyOf(each)))
    if (next.length > 0) {
      await inParallel(next, atOnce, async (server) => {
        tried.add(keyOf(server))
        const end = await moveServer(parts, server, { to: null, withPercent: false })
        if (end.is === "failed") failed.add(server.id)
        if (end.is === "moved" && end.to !== host) moved[end.way === "stops" ? "cold" : end.way]++
      })
      continue
    }
    // Of those that failed it was told why.
    for (const { id, name, stand } of servers)
      if (!failed.has(id))
        tell({ event: "left", id, name, why: stand.is === "stays" ? stand.why : "it came back" })
    tell({ event: "sum", host, ...moved, left: servers.length, ms: nowMs() - beganMs })
    return servers.length === 0
  }
}

export interface MoveOne {
  server: string
  /** Null: any. */
  to: string | null
  mayStop: boolean
}

/** Whether it is on another host now. */
export async function moveOne(parts: MoveParts, { server, to, mayStop }: MoveOne): Promise<boolean> {
  const { server: found } = await parts.ask("find", { server, mayStop })
  const { id, name, stand } = found
  if (stand.is === "stays") {
    parts.tell({ event: "left", id, name, why: stand.why })
    return false
  }
  return (await moveServer(parts, found, { to, withPercent: true })).is === "moved"
}

type End = { is: "moved"; way: MoveWay; to: string } | { is: "deleted" | "failed" | "no_host" }

interface MoveHow {
  to: string | null
  withPercent: boolean
}

/** To its end, which is told. */
async function moveServer(parts: MoveParts, { id, name, stand }: ServerToMove, how: MoveHow): Promise<End> {
  if (stand.is === "stays") return { is: "failed" }
  const of = { id, name }
  const way = stand.is === "to_confirm" ? "cold" : stand.way
  const end = await moveBy(parts, of, way, { ...how, migration: stand.is === "may_go" ? null : stand })
  const maySoStop = end.is === "no_host" && stand.is === "may_go" && stand.orStops
  const last = maySoStop ? await moveBy(parts, of, "stops", { ...how, migration: null }) : end
  return last.is === "no_host" ? { is: "failed" } : last
}

type Begun = Extract<ServerToMove["stand"], { migration: number }>

async function moveBy(
  parts: MoveParts,
  of: OfServer,
  way: MoveWay,
  { to, withPercent, migration: begun }: MoveHow & { migration: Begun | null },
): Promise<End> {
  const { ask, tell, nowMs } = parts
  const beganMs = nowMs()
  try {
    const { migration } = begun ?? (await ask("begin", { server: of.id, way, host: to }))
    if (begun?.is !== "to_confirm") tell({ event: "begins", ...of, way, isFound: begun !== null })
    const end = await follow(parts, of, { migration, withPercent })
    if (end.is === "failed") tell({ event: "failed", ...of, why: end.why })
    if (end.is === "deleted") tell({ event: "deleted", ...of })
    if (end.is === "failed") return { is: noHost.test(end.why) ? "no_host" : "failed" }
    if (end.is !== "moved") return { is: end.is }
    tell({ event: "moved", ...of, way, to: end.to, ms: nowMs() - beganMs })
    return { is: "moved", way, to: end.to }
  } catch (error) {
    // The cloud is away, or it was asked in a wrong way: that is not the server's.
    if (!(error instanceof Fault) || error.code.startsWith("cli.")) throw error
    tell({ event: "failed", ...of, why: error.message })
    return { is: "failed" }
  }
}

/** As the scheduler says it: none takes the guest as it runs, for its processor or the host's program. */
const noHost = /^No valid host was found/

type Followed = Exclude<MoveAnswers["look"]["progress"], { is: "on_way" | "to_confirm" }>

/** Of a move that takes hours each percent is too much, of a short one each tenth is enough. */
const toldPercent = 10

async function follow(
  { ask, tell, pause }: MoveParts,
  of: OfServer,
  { migration, withPercent }: { migration: number; withPercent: boolean },
): Promise<Followed> {
  let told = 0
  let refused = 0
  for (;;) {
    const { progress } = await ask("look", { server: of.id, migration, withPercent })
    if (progress.is === "on_way") {
      const { percent, to } = progress
      if (percent !== null && percent >= told + toldPercent) {
        told = percent
        tell({ event: "percent", ...of, percent, to })
      }
      await pause()
    } else if (progress.is === "to_confirm") {
      try {
        await ask("confirm", { server: of.id })
      } catch (error) {
        // Somebody else has confirmed it, reverted it, or begun something with it: the next look tells.
        if (!(error instanceof Fault) || error.kind !== "conflict" || refused++ > 0) throw error
      }
    } else return progress
  }
}
