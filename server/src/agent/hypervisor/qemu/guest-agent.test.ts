// Against something that speaks as qemu-ga does on its side of the channel.
import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { newUuid } from "../../../platform/ids/ids.ts"
import { agentGuestAgentMissing, agentGuestAgentSilent } from "../../faults.ts"
import { exampleSpec } from "../../testing/example-spec.ts"
import { setGuestPassword, whileStill } from "./guest-agent.ts"
import { makeRunDirectory, type RunDirectory, runDirectory } from "./run-directory.ts"

type Heard = { execute: string; arguments: Record<string, unknown> }

async function withGuest(
  answer: (heard: Heard, socket: Socket) => void,
  use: (
    set: (properties?: Record<string, string>) => Promise<void>,
    directory: RunDirectory,
    serverId: string,
  ) => Promise<void>,
): Promise<Heard[]> {
  const dir = mkdtempSync(join(tmpdir(), "kumoi-guest-agent-"))
  const serverId = newUuid()
  const directory = runDirectory(dir, serverId)
  await makeRunDirectory(directory)
  const all: Heard[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on("error", () => {})
    let text = ""
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1").replaceAll("\xff", "")
      for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
        const heard: Heard = JSON.parse(text.slice(0, end))
        text = text.slice(end + 1)
        all.push(heard)
        answer(heard, socket)
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(directory.agentSocket, resolve))
  try {
    await use(
      (properties = { hw_qemu_guest_agent: "yes" }) =>
        setGuestPassword(
          directory,
          { ...exampleSpec(serverId), properties },
          { user: "root", password: "s3crét" },
          200,
        ),
      directory,
      serverId,
    )
  } finally {
    for (const socket of sockets) socket.destroy()
    await new Promise<void>((resolve) => server.close(() => resolve()))
    rmSync(dir, { recursive: true, force: true })
  }
  return all
}

const sync = (heard: Heard) => `\xff${JSON.stringify({ return: heard.arguments.id })}\n`
const say = (socket: Socket, text: string) => socket.write(Buffer.from(text, "latin1"))

test("the guest is told who and what, after what was left of others is passed over", async () => {
  const heard = await withGuest(
    (each, socket) => {
      if (each.execute !== "guest-sync-delimited") return say(socket, '{"return": {}}\n')
      say(socket, `turn": 7}\n{"return": 5}\n`)
      say(socket, sync(each))
    },
    (set) => set(),
  )
  const [, told] = heard
  assert.equal(told?.execute, "guest-set-user-password")
  const password = Buffer.from("s3crét").toString("base64")
  assert.deepEqual(told?.arguments, { username: "root", password, crypted: false })
})

test("a refusal is told with its reason, a silent guest as silent, and one without an agent as such", async () => {
  const refuse = { error: { class: "GenericError", desc: "no such user" } }
  await withGuest(
    (each, socket) =>
      say(socket, each.execute === "guest-sync-delimited" ? sync(each) : `${JSON.stringify(refuse)}\n`),
    (set) => assert.rejects(set(), { code: "agent.machine.guest_refuses", message: /no such user/ }),
  )
  for (const [desc, message] of [
    [`a\u0000b${"c".repeat(60_000)}`, /: a bc{197}\.?$/],
    [{ toString: 1 }, /it does not say why/],
  ] as const) {
    const odd = JSON.stringify({ error: { desc } })
    await withGuest(
      (each, socket) => say(socket, each.execute === "guest-sync-delimited" ? sync(each) : `${odd}\n`),
      (set) => assert.rejects(set(), { code: "agent.machine.guest_refuses", message }),
    )
  }
  const silent = { code: "agent.machine.guest_agent_silent" }
  await withGuest(
    () => {},
    (set) => assert.rejects(set(), silent),
  )
  await withGuest(
    (_each, socket) => socket.destroy(),
    (set) => assert.rejects(set(), silent),
  )
  const heard = await withGuest(
    () => {},
    (set) => assert.rejects(set({}), { code: "agent.machine.guest_agent_missing" }),
  )
  assert.deepEqual(heard, [])
})

const still = (properties: Record<string, string>, isRunning = true) =>
  withGuest(
    ({ execute, arguments: values }, socket) =>
      say(
        socket,
        execute === "guest-sync-delimited" ? sync({ execute, arguments: values }) : '{"return": 1}\n',
      ),
    async (_set, directory, serverId) => {
      const spec = { ...exampleSpec(serverId), properties }
      assert.equal(await whileStill({ directory, spec, isRunning }, async () => "copied", 200), "copied")
    },
  ).then((all) => all.map(({ execute }) => execute).filter((command) => command !== "guest-sync-delimited"))

test("file systems stand still while they are copied, of guests that have an agent and run", async () => {
  const both = ["guest-fsfreeze-freeze", "guest-fsfreeze-thaw"]
  assert.deepEqual(await still({ hw_qemu_guest_agent: "yes" }), both)
  assert.deepEqual(await still({ hw_qemu_guest_agent: "yes", os_require_quiesce: "yes" }), both)
  assert.deepEqual(await still({ hw_qemu_guest_agent: "yes" }, false), [])
  assert.deepEqual(await still({}), [])
})

test("a guest that does not stand still is copied as it is, unless its image asks for it", async () => {
  const asked = await withGuest(
    () => {},
    async (_set, directory, serverId) => {
      const copy = (properties: Record<string, string>) =>
        whileStill(
          { directory, spec: { ...exampleSpec(serverId), properties }, isRunning: true },
          async () => "copied",
          100,
        )
      assert.equal(await copy({ hw_qemu_guest_agent: "yes" }), "copied")
      const required = { hw_qemu_guest_agent: "yes", os_require_quiesce: "true" }
      await assert.rejects(copy(required), agentGuestAgentSilent.is)
      await assert.rejects(copy({ os_require_quiesce: "true" }), agentGuestAgentMissing.is)
    },
  )
  assert.ok(asked.length > 0)
})
