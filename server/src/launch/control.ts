// The control socket of a running cloud: `kumoi status` and `kumoi policy` ask here. Mode 0600, so only its owner can.
import type { IncomingMessage } from "node:http"
import { join } from "node:path"
import { Fault } from "../platform/fault/fault.ts"
import { createServer, request } from "../platform/http/node-http.ts"
import { listenOnSocket } from "../platform/net/unix-socket.ts"
import { readFacts, readMainState, runDirOf } from "./cloud-dir.ts"

/** What can be asked, by path; a question comes as JSON. */
export type Answers = Readonly<Record<string, (question: unknown) => Promise<unknown>>>

/** Bytes of a question at the most. */
const questionBytesMax = 262_144

export async function serveControl(
  socketPath: string,
  answers: Answers,
  otherwise = (path: string) => `there is no ${path} here`,
): Promise<AsyncDisposable> {
  const server = createServer((request, response) => {
    const send = (status: number, body: unknown) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body))
    const answer = request.url && Object.hasOwn(answers, request.url) ? answers[request.url] : undefined
    if (!answer) {
      send(404, { message: otherwise(request.url ?? "/") })
      return
    }
    readQuestion(request)
      .then(answer)
      .then(
        (found) => send(200, found),
        (error: unknown) =>
          error instanceof Fault ? send(400, faultOf(error)) : send(500, { message: String(error) }),
      )
  })
  return await listenOnSocket(server, socketPath)
}

function faultOf({ kind, code, message }: Fault) {
  return { kind, code, message }
}

async function readQuestion(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    size += (chunk as Buffer).length
    if (size > questionBytesMax) throw new Fault("too_large", "cli.question_too_large", "That is too much.")
    chunks.push(chunk as Buffer)
  }
  return size === 0 ? undefined : JSON.parse(Buffer.concat(chunks).toString())
}

const answerTimeoutMs = 10_000

/** No socket, or one whose process has died. */
const awayCodes = new Set(["ENOENT", "ECONNREFUSED"])

/** What the running cloud of a data directory answers; null when none does. Throws the fault that it answers. */
export async function askCloud(
  dataDir: string,
  path: string,
  question?: unknown,
  timeoutMs = answerTimeoutMs,
): Promise<unknown> {
  const facts = readFacts(dataDir)
  if (!facts || !readMainState(dataDir)) return null
  const socketPath = join(runDirOf(dataDir, facts.cloudId), "control.sock")
  const found = await new Promise<{ status: number; text: string } | null>((resolve, reject) => {
    const asked = request({ socketPath, path, method: "POST", timeout: timeoutMs }, (response) => {
      const chunks: Buffer[] = []
      response.on("data", (chunk: Buffer) => chunks.push(chunk))
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
      )
    })
    asked.on("timeout", () => asked.destroy(noAnswer(dataDir, timeoutMs)))
    asked.on("error", (error) =>
      "code" in error && awayCodes.has(String(error.code)) ? resolve(null) : reject(error),
    )
    asked.end(question === undefined ? undefined : JSON.stringify(question))
  })
  if (found === null) return null
  const { status, text } = found
  const answer: unknown = JSON.parse(text)
  if (status === 200) return answer
  const { kind, code, message } = answer as Pick<Fault, "kind" | "code" | "message">
  throw status === 400 ? new Fault(kind, code, message) : new Fault("bug", "cli.answer_failed", message)
}

function noAnswer(dataDir: string, timeoutMs: number): Fault {
  const message = `The process of the cloud in ${dataDir} has not answered for ${timeoutMs / 1000} s.`
  return new Fault("unavailable", "cli.no_answer", message)
}
