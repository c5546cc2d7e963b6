import { spawn } from "node:child_process"

export interface RunOptions {
  cwd?: string
  env?: Record<string, string>
  input?: string
}

/** Runs a program to its end and returns what it printed; throws with its own words when it fails. */
export async function run(program: string, args: string[], options: RunOptions = {}): Promise<string> {
  return (await runForBytes(program, args, options)).toString()
}

export function runForBytes(program: string, args: string[], options: RunOptions = {}): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      // Messages are parsed and shown: they must not depend on the language of the user.
      env: { ...process.env, LC_ALL: "C", ...options.env },
      stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    })
    const out: Buffer[] = []
    const err: Buffer[] = []
    child.stdout?.on("data", (chunk: Buffer) => out.push(chunk))
    child.stderr?.on("data", (chunk: Buffer) => err.push(chunk))
    child.stdin?.on("error", () => {})
    child.stdin?.end(options.input)
    child.on("error", (cause) => reject(new Error(`cannot run ${program}: ${cause.message}`, { cause })))
    child.on("close", (code, signal) => {
      if (code === 0) return resolve(Buffer.concat(out))
      const said = Buffer.concat(err).toString().trim().split("\n").slice(-8).join("\n")
      reject(new Error(`${program} ${args[0] ?? ""} ended with ${signal ?? code}: ${said}`))
    })
  })
}
