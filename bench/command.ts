// Programs of this machine, run to their end. Each is in a process group of its own: ctrl-C reaches the benchmark
// alone, which then ends them in the right order.
import { spawn } from "node:child_process"

export interface RunOptions {
  timeoutMs?: number
  env?: Record<string, string>
}

/** What it printed; throws when it fails or takes too long. */
export function run(file: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { timeoutMs = 60_000, env = {} } = options
  const name = `${file} ${args.join(" ")}`
  return new Promise((done, fail) => {
    const child = spawn(file, args, {
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...env },
    })
    const output: Buffer[] = []
    const errors: Buffer[] = []
    child.stdout.on("data", (chunk: Buffer) => output.push(chunk))
    child.stderr.on("data", (chunk: Buffer) => errors.push(chunk))
    const timer = setTimeout(() => child.pid && process.kill(-child.pid, "SIGKILL"), timeoutMs)
    child.once("error", (error) => {
      clearTimeout(timer)
      fail(error)
    })
    // "exit" and not "close": what a program leaves running may keep its output open.
    child.once("exit", (code, signal) => {
      clearTimeout(timer)
      const text = Buffer.concat(output).toString()
      if (code === 0) done(text)
      else fail(new Error(`${name}\nended with ${code ?? signal}\n${text}${Buffer.concat(errors)}`))
    })
  })
}
