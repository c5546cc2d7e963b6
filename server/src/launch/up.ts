// `kumoi up`: a running cloud. In the foreground until ctrl-C, or left running with --detach.
import { spawn } from "node:child_process"
import { closeSync, openSync } from "node:fs"
import { hostname } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { setTimeout as delay } from "node:timers/promises"
import { parseArgs } from "node:util"
import { makeDirectory } from "../platform/exec/directory.ts"
import { isProcessAlive } from "../platform/exec/process.ts"
import { Fault } from "../platform/fault/fault.ts"
import { type MainState, readMainState } from "./cloud-dir.ts"
import { alreadyRunning } from "./lock.ts"
import { command, dataDirOf, type ParsedOptions } from "./options.ts"
import { ownParent, readParent, watchScript } from "./parent.ts"
import { checkRoom } from "./room.ts"
import { readUpOptions, type UpOptions, upOptionSpecs } from "./up-options.ts"

/** What `serve` says on its way, a JSON line each. */
export type Progress =
  | { kind: "step"; text: string }
  | { kind: "ready"; summary: string }
  | { kind: "failed"; message: string }

const lookAgainMs = 50

const about = {
  usage: "up [options]",
  what: "Starts a cloud, or continues the one in the data directory.",
  specs: upOptionSpecs,
  takesWords: true,
}

export const up = command(about, async (parsed, args) => {
  const options = readUpOptions(parsed)
  if (await joinAsControl(parsed)) return await up(withoutJoin(args))
  const running = await readyAgain(options.dataDir)
  if (running?.isReady) {
    // For systemd this is no good end: it would answer that by `down`.
    if (process.env.KUMOI_SERVICE && ownParent()) throw alreadyRunning(running.identity.pid)
    process.stdout.write(
      `Kumoi is running already: ${running.url} (process ${running.identity.pid}, data ${options.dataDir})\n`,
    )
    return 0
  }
  await checkRoom(options.dataDir)
  if (parsed.flag("detach")) return await upDetached(options, args)
  const { runHere } = await import("./run-here.ts")
  const say = progressPrinter()
  const cloud = await runHere(options, (text) => say({ kind: "step", text }))
  say({ kind: "ready", summary: cloud.summary })
  process.stdout.write("Press ctrl-C to stop it.\n")
  await cloud.ended
  return 0
})

/** True: this host has joined now. */
async function joinAsControl(parsed: ParsedOptions): Promise<boolean> {
  const [token, ...more] = parsed.positionals
  const url = parsed.text("join")
  const ofJoin = ["control", "name", "address"].filter((name) => parsed.flag(name) || parsed.text(name))
  if (url === undefined) {
    if (token === undefined && ofJoin.length === 0) return false
    throw wrongJoin(token === undefined ? `--${ofJoin[0]} is for --join.` : `${token} is no option.`)
  }
  if (token === undefined || more.length > 0) throw wrongJoin("--join takes an address and a token.")
  if (!parsed.flag("control"))
    throw wrongJoin("A host that runs machines joins by: ./kumoi host join URL TOKEN.")
  const { joinCloud } = await import("./joined/join.ts")
  const membership = await joinCloud({
    ...{ dataDir: dataDirOf(parsed), url, token, isControl: true },
    name: parsed.text("name") ?? hostname().toLowerCase(),
    address: parsed.text("address") ?? null,
  })
  process.stdout.write(`joined as ${membership.name}\n`)
  return true
}

function wrongJoin(why: string): Fault {
  const right = "A control host joins by: ./kumoi up --join URL TOKEN --control"
  return new Fault("invalid", "cli.option.invalid", `${why} ${right}`)
}

/** The words of its later starts. */
function withoutJoin(args: readonly string[]): string[] {
  const { tokens } = parseArgs({ args: [...args], strict: false, tokens: true, options: parseOptions })
  return tokens.flatMap((token) => {
    if (token.kind !== "option" || joinWords.has(token.name)) return []
    return token.value === undefined ? [token.rawName] : [token.rawName, token.value]
  })
}

const joinWords: ReadonlySet<string> = new Set(["join", "control", "name", "address"])
const parseOptions = Object.fromEntries(
  Object.entries(upOptionSpecs).map(([name, { type }]) => [name, { type }]),
)

/** The process that runs this cloud; when its parent is about to start it again, once that is done. */
async function readyAgain(dataDir: string): Promise<MainState | undefined> {
  const parent = readParent(dataDir)
  const isOwn = parent !== undefined && parent.pid === ownParent()?.pid
  for (;;) {
    const running = readMainState(dataDir)
    if (running?.isReady || isOwn || !parent || !isProcessAlive(parent)) return running
    await delay(lookAgainMs)
  }
}

async function upDetached(options: UpOptions, args: string[]): Promise<number> {
  makeDirectory(join(options.dataDir, "log"), 0o711)
  const log = openSync(join(options.dataDir, "log/kumoi.out"), "a", 0o600)
  const child = spawn(
    "/bin/sh",
    [
      watchScript,
      process.execPath,
      ...process.execArgv,
      join(import.meta.dirname, "../cli.ts"),
      "serve",
      ...args.filter((a) => a !== "--detach"),
    ],
    { detached: true, stdio: ["ignore", log, log, "pipe"], cwd: process.cwd() },
  )
  closeSync(log)
  const say = progressPrinter()
  const pipe = child.stdio[3]
  if (!pipe || !("on" in pipe)) throw new Error("no progress pipe")
  const exited = new Promise<number>((done) => child.once("exit", (code) => done(code ?? 1)))
  const lines = createInterface({ input: pipe as NodeJS.ReadableStream })
  for await (const line of lines) {
    const progress: Progress = JSON.parse(line)
    say(progress)
    if (progress.kind === "ready") {
      child.unref()
      lines.close()
      return 0
    }
    if (progress.kind === "failed") {
      // When the prompt is back nothing of the failed start is left.
      return (await exited) || 1
    }
  }
  const code = await exited
  process.stderr.write(
    `kumoi: the cloud's process ended early (exit ${code}); see ${join(options.dataDir, "log/kumoi.out")}\n`,
  )
  return 1
}

function progressPrinter(): (progress: Progress) => void {
  const startedMs = performance.now()
  return (progress) => {
    if (progress.kind === "step") {
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(1).padStart(5)
      process.stdout.write(`${seconds} s  ${progress.text}\n`)
    } else if (progress.kind === "ready") process.stdout.write(progress.summary)
    else process.stderr.write(`kumoi: ${progress.message}\n`)
  }
}
