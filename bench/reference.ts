// What this machine and this load generator can do at all: a Node server that answers a short text to everything. The
// speed of the API is told beside it.
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import type { Held } from "./held.ts"
import { load } from "./load.ts"
import { measuresOf } from "./measure.ts"
import type { Report } from "./report.ts"

const program = `
  const { createServer } = require("node:http")
  const answer = (_, response) => response.setHeader("content-type", "application/json").end('{"answer": 42}')
  const server = createServer(answer).listen(0, "127.0.0.1", () => console.log(server.address().port))
`

/** Requests per second at concurrency 16. */
export async function measureReference(
  report: Report,
  held: Held,
  { seconds }: { seconds: number },
): Promise<number> {
  const own = held.scope()
  let server: ChildProcess | undefined
  own.defer(() => server?.kill("SIGKILL"))
  server = spawn(process.execPath, ["--eval", program], { stdio: ["ignore", "pipe", "inherit"] })
  if (!server.stdout) throw new Error("the reference server has no output")
  const [port] = await once(server.stdout, "data")
  const url = `http://127.0.0.1:${String(port).trim()}`
  const request = () => ({ method: "GET", path: "/", headers: {} }) as const
  let perSecond = Number.NaN
  for (const concurrency of [1, 16]) {
    const sample = await load({ url, concurrency, durationMs: seconds * 1000, request })
    const { measures, ...more } = measuresOf(sample)
    report.add(`for comparison: a bare Node server, c=${concurrency}`, measures, more)
    perSecond = sample.perSecond
  }
  await own[Symbol.asyncDispose]()
  return perSecond
}
