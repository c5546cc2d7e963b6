// The agent that runs in a guest (qemu-ga), over the channel that QEMU has for it. It speaks JSON in lines, and like a
// serial line it may still hold what an earlier connection was told: so it is asked first for a number of our own,
// after a byte that no JSON has, and what it says before that number is passed over.
import { randomInt } from "node:crypto"
import { createConnection, type Socket } from "node:net"
import { agentGuestAgentMissing, agentGuestAgentSilent, agentGuestRefuses } from "../../faults.ts"
import type { VmSpec } from "../../protocol.ts"
import type { RunDirectory } from "./run-directory.ts"

/** A guest that is busy; one that has no agent never answers. */
const answerTimeoutMs = 10_000
const answerBytesMost = 64 * 1024
/** Begins a command anew, whatever was sent before it; the answer to `guest-sync-delimited` begins with it. */
const delimiter = 0xff
const newline = 0x0a

const yes = ["true", "yes", "1", "on"]

/** Whether the image says that its guests have one. */
export function hasGuestAgent({ properties }: VmSpec): boolean {
  return yes.includes((properties.hw_qemu_guest_agent ?? "").toLowerCase())
}

interface Answer {
  return?: unknown
  error?: { desc?: unknown }
}

/** Waits for the guest's answer. */
export async function setGuestPassword(
  directory: RunDirectory,
  spec: VmSpec,
  { user, password }: { user: string; password: string },
  timeoutMs = answerTimeoutMs,
): Promise<void> {
  const secret = Buffer.from(password, "utf8").toString("base64")
  const values = { username: user, password: secret, crypted: false }
  await askGuest(directory, spec, "guest-set-user-password", values, timeoutMs)
}

/**
 * While `act` runs nothing of the guest's file systems is half written. Of an image that does not ask for it
 * (`os_require_quiesce`), a guest that does not stand still is taken as it is.
 */
export async function whileStill<T>(
  { directory, spec, isRunning }: { directory: RunDirectory; spec: VmSpec; isRunning: boolean },
  act: () => Promise<T>,
  timeoutMs = answerTimeoutMs,
): Promise<T> {
  const isRequired = yes.includes((spec.properties.os_require_quiesce ?? "").toLowerCase())
  if (!isRunning || (!isRequired && !hasGuestAgent(spec))) return await act()
  try {
    await askGuest(directory, spec, "guest-fsfreeze-freeze", {}, timeoutMs)
  } catch (error) {
    // It may have stood still all the same, and only have been slow to say so.
    await thaw(directory, spec, timeoutMs)
    if (isRequired) throw error
    return await act()
  }
  try {
    return await act()
  } finally {
    await thaw(directory, spec, timeoutMs)
  }
}

/** A guest whose agent has gone meanwhile lets go by itself, or at its next start. */
async function thaw(directory: RunDirectory, spec: VmSpec, timeoutMs: number): Promise<void> {
  await askGuest(directory, spec, "guest-fsfreeze-thaw", {}, timeoutMs).catch(() => {})
}

async function askGuest(
  directory: RunDirectory,
  spec: VmSpec,
  command: string,
  values: object,
  timeoutMs: number,
): Promise<void> {
  const { serverId } = spec
  if (!hasGuestAgent(spec)) throw agentGuestAgentMissing(serverId)
  const number = randomInt(1, 2 ** 31)
  const socket = createConnection({ path: directory.agentSocket })
  const timer = setTimeout(() => socket.destroy(new Error("no answer in time")), timeoutMs)
  let answer: Answer | undefined
  try {
    const answers = answersOf(socket)
    socket.write(Buffer.from([delimiter]))
    send(socket, "guest-sync-delimited", { id: number })
    while ((await next(answers)).return !== number);
    send(socket, command, values)
    answer = await next(answers)
  } catch (cause) {
    throw Object.assign(agentGuestAgentSilent(serverId), { cause })
  } finally {
    clearTimeout(timer)
    socket.destroy()
  }
  if (answer.error) throw agentGuestRefuses(serverId, wordsOf(answer.error.desc))
}

const wordsMost = 200

/** The guest may say anything. */
function wordsOf(desc: unknown): string {
  if (typeof desc !== "string") return "it does not say why"
  return desc.replace(/\p{Cc}+/gu, " ").slice(0, wordsMost)
}

function send(socket: Socket, execute: string, values: object): void {
  socket.write(`${JSON.stringify({ execute, arguments: values })}\n`)
}

async function next(answers: AsyncGenerator<Answer>): Promise<Answer> {
  const { value, done } = await answers.next()
  if (done) throw new Error("the connection ended")
  return value
}

/** What is no JSON is what is left of an answer to somebody else. */
async function* answersOf(socket: Socket): AsyncGenerator<Answer, undefined> {
  let held = Buffer.alloc(0)
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    held = Buffer.concat([held, chunk])
    if (held.length > answerBytesMost) throw new Error("the answer is too long")
    for (let end = held.indexOf(newline); end >= 0; end = held.indexOf(newline)) {
      const line = held.subarray(0, end)
      held = held.subarray(end + 1)
      const answer = readAnswer(line.subarray(line.lastIndexOf(delimiter) + 1).toString("utf8"))
      if (answer) yield answer
    }
  }
  return undefined
}

function readAnswer(text: string): Answer | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === "object" && value !== null ? value : undefined
  } catch {
    return undefined
  }
}
