// The command line. Each command is loaded only when it is asked for.
import { findModulesFast } from "./launch/modules.ts"
import { Fault } from "./platform/fault/fault.ts"

interface Command {
  summary: string
  load: () => Promise<(args: string[]) => Promise<number>>
}

const commands: Record<string, Command> = {
  up: {
    summary: "start a cloud; a second time it continues where it was",
    load: async () => (await import("./launch/up.ts")).up,
  },
  down: {
    summary: "stop everything, keep the data; --purge removes it",
    load: async () => (await import("./launch/down.ts")).down,
  },
  status: {
    summary: "every engine and service: state, pid, memory, since",
    load: async () => (await import("./launch/status.ts")).status,
  },
  doctor: {
    summary: "what this machine can do, what is missing, and the fix",
    load: async () => (await import("./launch/doctor.ts")).doctor,
  },
  env: {
    summary: "print the OS_* variables of a user",
    load: async () => (await import("./launch/env.ts")).env,
  },
  routes: {
    summary: "list every wire operation",
    load: async () => (await import("./launch/routes.ts")).routes,
  },
  keys: {
    summary: "the keys of tokens and credentials; rotate them",
    load: async () => (await import("./launch/keys.ts")).keys,
  },
  backup: {
    summary: "everything of a running cloud that cannot be made again, into a directory",
    load: async () => (await import("./launch/backup/backup.ts")).backup,
  },
  restore: {
    summary: "a stopped cloud becomes what a backup says; nothing is overwritten",
    load: async () => (await import("./launch/backup/restore.ts")).restore,
  },
  host: {
    summary: "the cloud's hosts: join, list, drain, evacuate, remove; machines that no server knows",
    load: async () => (await import("./launch/host.ts")).host,
  },
  server: {
    summary: "one server: move it to another host",
    load: async () => (await import("./launch/server.ts")).server,
  },
  fleet: {
    summary: "simulated hosts beside real ones: add, list, remove",
    load: async () => (await import("./launch/fleet/command.ts")).fleet,
  },
  explain: {
    summary: "why a server has no host: each filter and resource that says no, and what would help",
    load: async () => (await import("./launch/explain.ts")).explain,
  },
  image: {
    summary: "files of the image store that no image names: list, discard them",
    load: async () => (await import("./launch/image.ts")).image,
  },
  volume: {
    summary: "data in the back ends of hosts that no volume is of, and volumes without data: list them",
    load: async () => (await import("./launch/volume.ts")).volume,
  },
  "volume-backup": {
    summary: "data in the store of volume backups that no backup is of: list, discard them",
    load: async () => (await import("./launch/volume-backup.ts")).volumeBackup,
  },
  saga: {
    summary: "work that is stuck or waits: list, describe, resume",
    load: async () => (await import("./launch/saga.ts")).saga,
  },
  policy: {
    summary: "why somebody may or may not; the rules in force; check a policy.yaml",
    load: async () => (await import("./launch/policy.ts")).policy,
  },
  upgrade: {
    summary: "another program takes over, and back; --dry-run says what would change",
    load: async () => (await import("./launch/upgrade/command.ts")).upgrade,
  },
  service: {
    summary: "a systemd unit for a cloud: install, remove, status",
    load: async () => (await import("./launch/service/service.ts")).service,
  },
  test: { summary: "run the tests", load: async () => (await import("./launch/test.ts")).test },
}

function help(): string {
  const rows = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(8)} ${summary}`)
  return `Kumoi: a whole IaaS cloud in one program

usage: ./kumoi COMMAND [options]

${rows.join("\n")}

./kumoi help COMMAND, or COMMAND --help, tells the options of a command.

Exit status: 0 done, 1 failed, 2 asked in a wrong way, 3 the cloud does not run or does not answer. A command whose
answer is a yes or no says in its --help what its own mean.
`
}

async function main(argv: string[]): Promise<number> {
  const [name = "help", ...args] = argv
  if (name === "help" || name === "--help" || name === "-h") {
    const [of] = args
    if (of !== undefined && Object.hasOwn(commands, of)) return await main([of, "--help"])
    process.stdout.write(help())
    return 0
  }
  if (name === "serve") return await (await import("./launch/serve.ts")).serve(args)
  if (name === "serve-api") return await (await import("./launch/serve-api.ts")).serveApi(args)
  if (name === "serve-fleet") return await (await import("./launch/fleet/serve-fleet.ts")).serveFleet(args)
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (!command) {
    process.stderr.write(`kumoi: there is no command ${JSON.stringify(name)}.\n\n${help()}`)
    return 2
  }
  return await (await command.load())(args)
}

/** Another process runs this cloud (launch/watch.sh). */
const ownedExitCode = 75

/** What a failure means for the exit status; all others are 1. */
const exitCodes: Readonly<Record<string, number>> = {
  "cli.option.invalid": 2,
  "cli.not_running": 3,
  "cli.no_answer": 3,
  // Of a host whose cloud has removed it: the next start is none either (launch/watch.sh, the unit).
  "cli.host_removed": 78,
}

findModulesFast()
// Who has read enough closes the pipe; that is no failure of ours.
process.stdout.on("error", () => {})
let exitCode = 1
try {
  exitCode = await main(process.argv.slice(2))
} catch (error) {
  const code = error instanceof Error && "code" in error ? String(error.code) : ""
  // For the parent: there is nothing to start again.
  if (code === "cli.already_running" && process.env.KUMOI_PARENT !== undefined) exitCode = ownedExitCode
  // A file that cannot be read, a full disk: the system's message names what and which; a stack adds nothing.
  const isOfSystem = error instanceof Error && "syscall" in error
  const isWrongOption = code.startsWith("ERR_PARSE_ARGS")
  exitCode = isWrongOption ? 2 : (exitCodes[code] ?? exitCode)
  const isExpected = error instanceof Fault || isWrongOption || isOfSystem
  process.stderr.write(
    `kumoi: ${isExpected && error instanceof Error ? error.message : error instanceof Error ? error.stack : String(error)}\n`,
  )
}
// A pipe takes 64 KiB at a time: who reads more slowly than we write gets the rest as well.
await new Promise<void>((resolve) => process.stdout.write("", () => resolve()))
// Explicitly: after a failed start, handles of half-made parts must not keep the process.
process.exit(exitCode)
