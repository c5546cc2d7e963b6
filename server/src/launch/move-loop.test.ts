import assert from "node:assert/strict"
import { test } from "node:test"
import { Fault } from "../platform/fault/fault.ts"
import type { MoveAction, MoveAnswers, ServerToMove } from "./move-answer.ts"
import { drainHost, type MoveEvent, type MoveParts } from "./move-loop.ts"

const server = (id: string): ServerToMove => ({
  ...{ id, name: id, host: "a", stand: { is: "may_go", way: "cold", orStops: false } },
})

type Answers = { [A in MoveAction]: (asked: { server: string }) => MoveAnswers[A] }

function partsOf(answers: Partial<Answers>): MoveParts & { events: MoveEvent[] } {
  const events: MoveEvent[] = []
  return {
    events,
    ask: async (action, question) => {
      const answer = { ...{ close: () => ({ reason: null }) }, ...answers }[action]
      if (!answer) return assert.fail(`${action} is asked`)
      // As the test says.
      return answer(question as { server: string }) as MoveAnswers[typeof action]
    },
    tell: (event) => events.push(event),
    pause: async () => {},
    nowMs: () => 0,
  }
}

const how = { host: "a", atOnce: 3, mayStop: false }

test("so many are on their way at once, and never more", async () => {
  const here = new Set(["1", "2", "3", "4", "5", "6", "7"])
  const going = new Map<string, number>()
  let most = 0
  const parts = partsOf({
    servers: () => ({ servers: [...here].map(server) }),
    begin: ({ server: id }) => {
      going.set(id, 3)
      most = Math.max(most, going.size)
      return { migration: Number(id) }
    },
    look: ({ server: id }) => {
      const left = (going.get(id) ?? 0) - 1
      going.set(id, left)
      if (left > 0) return { progress: { is: "on_way", to: "b", percent: null } }
      going.delete(id)
      here.delete(id)
      return { progress: { is: "moved", to: "b" } }
    },
  })
  assert.equal(await drainHost(parts, how), true)
  assert.equal(most, 3)
})

test("a confirmation that comes too late is none that fails: the next look says what is", async () => {
  let looks = 0
  const parts = partsOf({
    servers: () => ({ servers: looks === 0 ? [server("1")] : [] }),
    begin: () => ({ migration: 1 }),
    look: () => ({ progress: looks++ === 0 ? { is: "to_confirm", to: "b" } : { is: "moved", to: "b" } }),
    confirm: () => {
      throw new Fault("conflict", "compute.server.invalid_state", "It is active.")
    },
  })
  assert.equal(await drainHost(parts, how), true)
  assert.deepEqual(
    parts.events.map(({ event }) => event),
    ["begins", "moved", "sum"],
  )
})

test("one that is refused again and again is told, and is not asked for without end", async () => {
  const parts = partsOf({
    servers: () => ({ servers: [server("1")] }),
    begin: () => ({ migration: 1 }),
    look: () => ({ progress: { is: "to_confirm", to: "b" } }),
    confirm: () => {
      throw new Fault("conflict", "compute.server.invalid_state", "It is not.")
    },
  })
  assert.equal(await drainHost(parts, how), false)
  assert.partialDeepStrictEqual(parts.events[1], { event: "failed", why: "It is not." })
})

test("a server that is refused is left, and tried once; a cloud that is away ends the command", async () => {
  let begun = 0
  const refusing = (code: string) =>
    partsOf({
      servers: () => ({ servers: [server("1")] }),
      begin: () => {
        begun++
        throw new Fault("conflict", code, "No.")
      },
    })
  const parts = refusing("compute.server.invalid_state")
  assert.equal(await drainHost(parts, how), false)
  assert.equal(begun, 1)
  assert.partialDeepStrictEqual(parts.events, [
    { event: "failed", why: "No." },
    { event: "sum", left: 1 },
  ])
  await assert.rejects(drainHost(refusing("cli.not_running"), how), { code: "cli.not_running" })
})

test("what no host takes as it runs is stopped for the move where that is said, and nothing else is", async () => {
  const noHost = "No valid host was found. There are not enough hosts available."
  for (const [orStops, why, ways] of [
    [true, noHost, ["live", "stops"]],
    [true, "The live migration of machine 1 was aborted.", ["live"]],
    [false, noHost, ["live"]],
  ] as const) {
    const tried: string[] = []
    const parts = partsOf({
      servers: () => ({
        servers:
          tried.length > 0 && tried.at(-1) === "stops"
            ? []
            : [{ ...server("1"), stand: { is: "may_go", way: "live", orStops } }],
      }),
      begin: (asked) => {
        tried.push((asked as { server: string; way: string }).way)
        return { migration: 1 }
      },
      look: () => ({ progress: tried.at(-1) === "live" ? { is: "failed", why } : { is: "moved", to: "b" } }),
    })
    assert.equal(await drainHost(parts, { ...how, mayStop: orStops }), ways.length === 2)
    assert.deepEqual(tried, ways)
  }
})
