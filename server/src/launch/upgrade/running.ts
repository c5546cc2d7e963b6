// The process that runs a cloud or a host, as another program finds it: which program it is, and how it was started.
import { readFileSync, readlinkSync } from "node:fs"
import { resolve } from "node:path"
import { isProcessAlive, type ProcessIdentity } from "../../platform/exec/process.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { firstProtocol, type Program, readProgram } from "../../platform/program/program.ts"
import { readMainState } from "../cloud-dir.ts"

export interface Running {
  identity: ProcessIdentity
  parent: ProcessIdentity | null
  /** Where its program lies. */
  tree: string
  program: Program
  /** It can stop and leave guests and engines to the next one. Earlier programs are killed for that. */
  canLeave: boolean
  /** Options of `up`, as they were given. */
  args: string[]
  cwd: string
  env: Record<string, string>
  startedBy: "detach" | "foreground" | "service"
}

const cliPath = "/server/src/cli.ts"

/** Undefined: nothing runs there. */
export function readRunning(dataDir: string): Running | undefined {
  const state = readMainState(dataDir)
  if (!state) return undefined
  const { identity, parent, program } = state
  const words = readWords(identity.pid, "cmdline")
  const at = words.findIndex((word) => word.endsWith(cliPath))
  const [command, ...args] = words.slice(at + 1)
  const cwd = readlinkSync(`/proc/${identity.pid}/cwd`)
  if (at < 0 || (command !== "serve" && command !== "up")) {
    const message = `Process ${identity.pid} runs ${dataDir} in a way that this program does not know.`
    throw new Fault("unsupported", "cli.upgrade.unknown_process", message)
  }
  const tree = resolve(cwd, (words[at] ?? "").slice(0, -cliPath.length))
  const env = environmentOf(identity.pid, tree)
  return {
    identity,
    parent: parent && isProcessAlive(parent) ? parent : null,
    ...{ tree, args, cwd, env },
    // Of a program of before it told: as its directory says now, which may have been replaced since.
    program: program ?? { ...(readProgram(tree) ?? { version: "unknown", schema: 0 }), ...earliest },
    canLeave: program !== undefined,
    startedBy: command === "serve" ? "detach" : env.KUMOI_SERVICE === undefined ? "foreground" : "service",
  }
}

/** One that did not tell what it is had no hello, and no number for the schema. */
const earliest = { protocol: firstProtocol, schema: 0 }

/** Of the process and not of what starts it. */
const ownVariables = ["KUMOI_PARENT", "KUMOI_RESTARTS"]

function environmentOf(pid: number, tree: string): Record<string, string> {
  const pairs = readWords(pid, "environ").flatMap((word) => {
    const at = word.indexOf("=")
    const [name, value] = [word.slice(0, at), word.slice(at + 1)]
    if (at < 1 || ownVariables.includes(name)) return []
    // Its launcher has set that, for its own tree.
    return name === "NODE_COMPILE_CACHE" && value.startsWith(`${tree}/`) ? [] : [[name, value] as const]
  })
  return Object.fromEntries(pairs)
}

function readWords(pid: number, file: "cmdline" | "environ"): string[] {
  const text = readFileSync(`/proc/${pid}/${file}`, "utf8")
  return text === "" ? [] : text.replace(/\0$/, "").split("\0")
}
