// How a daemon of OVN or Open vSwitch is run for one cloud: own databases, sockets and logs, none of the
// distribution's units or files, in the foreground, so that the supervisor owns it.
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { enterNetns, ownNetnsInode } from "../../agent/ports/netns.ts"
import { exec } from "../../platform/exec/exec.ts"
import { OvsdbConnection } from "../../platform/ovsdb/connection.ts"
import type { EngineSpec } from "../../platform/supervise/supervisor.ts"
import type { CentralOptions, OvnPaths } from "./ovn-paths.ts"

const schemas = {
  nb: "/usr/share/ovn/ovn-nb.ovsschema",
  sb: "/usr/share/ovn/ovn-sb.ovsschema",
  ovs: "/usr/share/openvswitch/vswitch.ovsschema",
} as const

type DatabaseName = keyof typeof schemas

/**
 * The cloud's own namespace, or the one where Kumoi was started. Tear-down ends all that is in the cloud's; what
 * speaks with other hosts needs this host's addresses and is known by its environment.
 */
export type Placement = "cloud" | "host"

/** In the environment of each engine: the directory in /run of the cloud that it belongs to. */
export const engineMark = "KUMOI_ENGINE_OF"

interface Program {
  name: string
  program: string
  args: readonly string[]
  placement?: Placement
}

export function daemon(options: CentralOptions, how: Program): EngineSpec {
  const { paths, databaseDir, logDir } = options
  const { name, program, args, placement = "cloud" } = how
  const [command = "", ...enter] = placement === "cloud" ? enterNetns(paths.netnsFile) : stayInNetns()
  const logging = ["-vconsole:info", "-vsyslog:off", "-vfile:off"]
  return {
    name,
    command,
    args: [...enter, program, ...args, ...controlOption(paths, name), "--no-chdir", ...logging],
    // OVS_RUNDIR is where br-int's control socket stands; the others keep them out of /etc and /var.
    env: {
      [engineMark]: paths.runDir,
      OVS_RUNDIR: paths.runDir,
      OVN_RUNDIR: paths.runDir,
      OVS_SYSCONFDIR: databaseDir,
      OVN_SYSCONFDIR: databaseDir,
      OVS_DBDIR: databaseDir,
      OVN_DBDIR: databaseDir,
      OVS_LOGDIR: logDir,
      OVN_LOGDIR: logDir,
    },
    logFile: join(logDir, `${name}.log`),
    isReady: () => answers(paths, name, "version", /\d/),
    stopGraceMs: 5_000,
    prepare: async () => removeControlSockets(paths, name),
  }
}

/** The namespace stands in the command line, so that an engine of another one is not adopted but started anew. */
function stayInNetns(): string[] {
  return ["/usr/bin/env", `KUMOI_NETNS=${ownNetnsInode()}`]
}

export function database(
  options: CentralOptions,
  name: DatabaseName,
  how: { socketPath: string; args?: readonly string[]; placement?: Placement },
): EngineSpec {
  const { socketPath, args = [], placement = "cloud" } = how
  const file = join(options.databaseDir, `${name}.db`)
  const spec = daemon(options, {
    name: `ovsdb-${name}`,
    program: "/usr/sbin/ovsdb-server",
    args: [file, `--remote=punix:${socketPath}`, ...args],
    placement,
  })
  return {
    ...spec,
    prepare: async () => {
      mkdirSync(options.databaseDir, { recursive: true, mode: 0o700 })
      await ensureDatabase(file, schemas[name])
      // The server renames its lock file into place, and a socket that a killed server left stops the next one.
      rmSync(socketPath, { force: true })
      removeControlSockets(options.paths, spec.name)
    },
  }
}

async function ensureDatabase(file: string, schema: string): Promise<void> {
  if (!existsSync(file)) await exec("ovsdb-tool", ["create", file, schema])
  const { stdout } = await exec("ovsdb-tool", ["needs-conversion", file, schema])
  if (stdout.trim() === "yes") await exec("ovsdb-tool", ["convert", file, schema])
}

// ovn-controller takes no option for it and always makes RUNDIR/ovn-controller.PID.ctl.
function controlOption(paths: OvnPaths, name: string): string[] {
  return name === "ovn-controller" ? [] : [`--unixctl=${join(paths.runDir, `${name}.ctl`)}`]
}

function controlSockets(paths: OvnPaths, name: string): string[] {
  const files = readdirSync(paths.runDir)
  return files
    .filter((file) => file.startsWith(`${name}.`) && file.endsWith(".ctl"))
    .map((file) => join(paths.runDir, file))
}

function removeControlSockets(paths: OvnPaths, name: string): void {
  for (const path of controlSockets(paths, name)) rmSync(path, { force: true })
}

/** Asks a daemon over its control socket, which speaks the same JSON-RPC as a database. */
export async function answers(
  paths: OvnPaths,
  name: string,
  command: string,
  expected: RegExp,
): Promise<boolean> {
  let connection: OvsdbConnection | undefined
  try {
    const path = controlSockets(paths, name)[0]
    if (path === undefined) return false
    connection = await OvsdbConnection.open(path, () => {}, 1_000)
    return expected.test(String(await connection.request(command, [], 1_000)))
  } catch {
    return false
  } finally {
    connection?.close()
  }
}
