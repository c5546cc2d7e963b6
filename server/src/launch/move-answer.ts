// The running cloud's side of `kumoi host drain`, `kumoi host evacuate` and `kumoi server move`: small answers, from the
// rows each time. What comes next is said by who asks.
import {
  beginMove,
  confirmMove,
  findServersToMove,
  lookAtMove,
  lostStandOf,
  type MoveFacts,
  type MoveProgress,
  type MoveStand,
  type MoveWay,
  selectHostFacts,
  selectMovesOfHost,
  setHostDisabled,
  standOf,
} from "../compute/index.ts"
import { hostMissing } from "../host/index.ts"
import type { Platform } from "../platform/context/context.ts"
import { Fault, fault } from "../platform/fault/fault.ts"

export interface MoveQuestions {
  /** No new server comes to the host. */
  close: { host: string }
  servers: { host: string; mayStop: boolean }
  /** Of a host that is down. */
  lost: { host: string }
  /** An id or a name. */
  find: { server: string; mayStop: boolean }
  begin: { server: string; way: MoveWay; host: string | null }
  look: { server: string; migration: number; withPercent: boolean }
  confirm: { server: string }
}

export type MoveAction = keyof MoveQuestions
export type MoveQuestion = { [A in MoveAction]: { action: A } & MoveQuestions[A] }[MoveAction]

export interface ServerToMove {
  id: string
  name: string
  host: string | null
  stand: MoveStand
}

export interface MoveAnswers {
  close: { reason: string | null }
  servers: { servers: ServerToMove[] }
  lost: { servers: ServerToMove[] }
  find: { server: ServerToMove }
  begin: { migration: number }
  look: { progress: MoveProgress }
  confirm: { confirmed: string }
}

/** What the host is disabled with, unless it is already. */
export const drainedReason = "drained"

const serverMissing = fault(
  "not_found",
  "cli.move.server_not_found",
  (text: string) => `There is no server ${text}.`,
)

const hostAnswers = fault(
  "conflict",
  "cli.move.host_answers",
  (host: string) =>
    `Host ${host} is up: its servers are moved by ./kumoi host drain ${host}. If it is to be taken for down, because it ` +
    `was switched off or is cut off from all storage: openstack compute service set --down ${host} nova-compute`,
)

function optionWrong(message: string): Fault {
  return new Fault("invalid", "cli.option.invalid", message)
}

export async function answerMove(platform: Platform, question: unknown): Promise<MoveAnswers[MoveAction]> {
  const asked = readQuestion(question)
  switch (asked.action) {
    case "close":
      return { reason: await close(platform, asked.host) }
    case "servers": {
      const isUp = await isHostUp(platform, asked.host)
      if (isUp === undefined) throw hostMissing(asked.host)
      const found = await selectMovesOfHost(platform, asked.host)
      return { servers: found.map((facts) => shown(facts, { isUp, mayStop: asked.mayStop })) }
    }
    case "lost": {
      const isUp = await isHostUp(platform, asked.host)
      if (isUp === undefined) throw hostMissing(asked.host)
      if (isUp) throw hostAnswers(asked.host)
      const found = (await selectMovesOfHost(platform, asked.host)).filter(({ host }) => host === asked.host)
      return {
        servers: found.map((facts) => ({
          ...{ id: facts.id, name: facts.name, host: facts.host },
          stand: lostStandOf(facts),
        })),
      }
    }
    case "find": {
      const facts = await findOne(platform, asked.server)
      const isUp = facts.host !== null && (await isHostUp(platform, facts.host)) === true
      return { server: shown(facts, { isUp, mayStop: asked.mayStop }) }
    }
    case "begin":
      return { migration: await begin(platform, asked) }
    case "look": {
      const { server: serverId, migration, withPercent } = asked
      return { progress: await lookAtMove(platform, { serverId, migration, withPercent }) }
    }
    case "confirm":
      await confirmMove(platform, asked.server)
      return { confirmed: asked.server }
  }
}

function shown(facts: MoveFacts, how: Parameters<typeof standOf>[1]): ServerToMove {
  const { id, name, host } = facts
  return { id, name, host, stand: standOf(facts, how) }
}

async function hostFacts(platform: Platform, name: string) {
  return (await selectHostFacts(platform, { filters: { name: [name] } }))[0]
}

async function isHostUp(platform: Platform, name: string): Promise<boolean | undefined> {
  return (await hostFacts(platform, name))?.isUp
}

/** An operator's own reason stays. */
async function close(platform: Platform, name: string): Promise<string | null> {
  const found = await hostFacts(platform, name)
  if (!found) throw hostMissing(name)
  if (found.host.isDisabled) return found.host.disabledReason
  if (!(await setHostDisabled(platform, name, drainedReason))) throw hostMissing(name)
  return drainedReason
}

async function findOne(platform: Platform, text: string): Promise<MoveFacts> {
  const [facts, ...others] = await findServersToMove(platform, text)
  if (!facts) throw serverMissing(text)
  if (others.length === 0) return facts
  const ids = [facts, ...others].map(({ id }) => id).join(", ")
  throw optionWrong(`There are several servers ${text}: say an id, such as ${ids}.`)
}

async function begin(platform: Platform, { server, way, host }: MoveQuestions["begin"]): Promise<number> {
  if (host !== null) {
    const { host: own } = await findOne(platform, server)
    if (host === own) throw optionWrong(`--host ${host}: the server is there already.`)
    const found = await hostFacts(platform, host)
    if (!found) throw optionWrong(`--host ${host}: there is no such host.`)
    if (!found.isUp) throw optionWrong(`--host ${host}: it is down.`)
    if (found.host.isDisabled)
      throw optionWrong(`--host ${host}: it is disabled. To let servers come: ./kumoi host enable ${host}`)
  }
  return await beginMove(platform, { serverId: server, way, host })
}

const ways: readonly unknown[] = ["live", "cold", "stops", "anew"] satisfies MoveWay[]

function readQuestion(question: unknown): MoveQuestion {
  // Looked at below.
  const { action, host, server, way, migration, mayStop, withPercent } = (question ?? {}) as Record<
    string,
    unknown
  >
  if (action === "close" && typeof host === "string") return { action, host }
  if (action === "servers" && typeof host === "string") return { action, host, mayStop: mayStop === true }
  if (action === "lost" && typeof host === "string") return { action, host }
  if (action === "find" && typeof server === "string") return { action, server, mayStop: mayStop === true }
  if (action === "confirm" && typeof server === "string") return { action, server }
  if (action === "begin" && typeof server === "string" && ways.includes(way))
    return { action, server, way: way as MoveWay, host: typeof host === "string" ? host : null }
  if (action === "look" && typeof server === "string" && Number.isSafeInteger(migration))
    return { action, server, migration: Number(migration), withPercent: withPercent === true }
  throw new Fault("invalid", "cli.move_question", "That is no question about moves of servers.")
}
