// Host programs are started only from here: argument arrays, a time limit, an output limit.
import { type SpawnOptions, spawn } from "node:child_process"

export interface ExecResult {
  stdout: string
  stderr: string
  exitCode: number
}

export interface ExecOptions {
  timeoutMs?: number
  /** Bytes kept of each of stdout and stderr; more is an error. */
  outputLimitBytes?: number
  input?: string | Uint8Array
  cwd?: string
  env?: Record<string, string | undefined>
  uid?: number
  gid?: number
  signal?: AbortSignal
  /** Exit codes that are not an error; default only 0. */
  okCodes?: readonly number[]
}

export class ExecError extends Error {
  readonly result: ExecResult | undefined
  constructor(message: string, result?: ExecResult, cause?: unknown) {
    super(message, { cause })
    this.name = "ExecError"
    this.result = result
  }
}

const defaultTimeoutMs = 30_000
const defaultOutputLimitBytes = 8 * 1024 * 1024

/** Runs a program to its end. Throws ExecError when it cannot start, exits badly, is too slow or prints too much. */
export async function exec(
  file: string,
  args: readonly string[],
  options: ExecOptions = {},
): Promise<ExecResult> {
  const limit = options.outputLimitBytes ?? defaultOutputLimitBytes
  const timeoutMs = options.timeoutMs ?? defaultTimeoutMs
  const shown = `${file} ${args.join(" ")}`.slice(0, 400)
  return await new Promise<ExecResult>((resolve, reject) => {
    const spawnOptions: SpawnOptions = { stdio: ["pipe", "pipe", "pipe"] }
    if (options.cwd !== undefined) spawnOptions.cwd = options.cwd
    if (options.env !== undefined) spawnOptions.env = options.env
    if (options.uid !== undefined) spawnOptions.uid = options.uid
    if (options.gid !== undefined) spawnOptions.gid = options.gid
    if (options.signal !== undefined) spawnOptions.signal = options.signal
    const child = spawn(file, args, spawnOptions)
    const out: Buffer[] = []
    const err: Buffer[] = []
    let size = 0
    let problem: string | undefined
    const end = (why: string) => {
      problem ??= why
      child.kill("SIGKILL")
    }
    const timer = setTimeout(() => end(`took longer than ${timeoutMs} ms`), timeoutMs)
    const keep = (into: Buffer[]) => (chunk: Buffer) => {
      size += chunk.length
      if (size > limit) end(`printed more than ${limit} bytes`)
      else into.push(chunk)
    }
    child.stdout?.on("data", keep(out))
    child.stderr?.on("data", keep(err))
    child.on("error", (error) => {
      clearTimeout(timer)
      reject(new ExecError(`${shown}: ${error.message}`, undefined, error))
    })
    child.on("close", (code) => {
      clearTimeout(timer)
      const result = {
        stdout: Buffer.concat(out).toString(),
        stderr: Buffer.concat(err).toString(),
        exitCode: code ?? -1,
      }
      if (problem) reject(new ExecError(`${shown}: ${problem}`, result))
      else if ((options.okCodes ?? [0]).includes(result.exitCode)) resolve(result)
      else
        reject(
          new ExecError(`${shown}: exit ${result.exitCode}: ${result.stderr.trim().slice(-600)}`, result),
        )
    })
    // A program that ends early closes its input; that is its affair.
    child.stdin?.on("error", () => {})
    child.stdin?.end(options.input ?? "")
  })
}
