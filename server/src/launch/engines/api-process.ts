// Processes that answer requests, beside the one that works: `up --workers N`. Each is watched as engines are, and
// ends by itself when the one that works is gone.
import { join } from "node:path"
import { request } from "../../platform/http/node-http.ts"
import type { EngineSpec } from "../../platform/supervise/supervisor.ts"
import type { CloudDir } from "../cloud-dir.ts"

/** More would need more connections than PostgreSQL is given (engines/postgres.ts). */
export const apiProcessesMost = 16

export function apiProcessNames(count: number): string[] {
  return Array.from({ length: count }, (_, at) => `api-${at + 1}`)
}

/** Everything that such a process is told, mode 0600: the database's address may have a password in it. */
export const apiFilePath = (dir: CloudDir) => join(dir.runDir, "api.json")
export const consoleSocketPath = (dir: CloudDir) => join(dir.runDir, "console.sock")
export const busSocketPath = (dir: CloudDir) => join(dir.runDir, "bus.sock")
/** For what simulated hosts show or send to other hosts. */
export const streamSocketPath = (dir: CloudDir) => join(dir.runDir, "streams.sock")
const ownSocketPath = (dir: CloudDir, name: string) => join(dir.runDir, `${name}.sock`)

export function apiProcessEngine(
  dir: CloudDir,
  name: string,
  env: Readonly<Record<string, string | undefined>>,
): EngineSpec {
  const socketPath = ownSocketPath(dir, name)
  return {
    name,
    command: process.execPath,
    args: [
      ...process.execArgv,
      join(import.meta.dirname, "../../cli.ts"),
      "serve-api",
      apiFilePath(dir),
      socketPath,
    ],
    env: Object.fromEntries(
      Object.entries(env).filter(
        (entry): entry is [string, string] =>
          entry[1] !== undefined && (entry[0].startsWith("KUMOI_") || entry[0] === "NODE_COMPILE_CACHE"),
      ),
    ),
    logFile: join(dir.logDir, `${name}.log`),
    isReady: () => answers(socketPath),
    readyTimeoutMs: 30_000,
  }
}

async function answers(socketPath: string): Promise<boolean> {
  return await new Promise((resolve) => {
    const asked = request({ socketPath, path: "/healthz", timeout: 2_000 }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    asked.on("timeout", () => asked.destroy())
    asked.on("error", () => resolve(false))
    asked.end()
  })
}
