// The six daemons of OVN and Open vSwitch for one cloud, private to it: own databases, sockets and logs, none of
// the distribution's units or files. They run in the foreground in the cloud's namespace, so the supervisor owns
// them and a tear-down that knows only the namespace finds them all.
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { enterNetns } from "../../agent/ports/netns.ts"
import { eventually } from "../../platform/clock/clock.ts"
import { exec } from "../../platform/exec/exec.ts"
import { OvsdbConnection } from "../../platform/ovsdb/connection.ts"
import type { EngineSpec } from "../../platform/supervise/supervisor.ts"
import { integrationBridge, type OvnEngineOptions, type OvnPaths } from "./ovn-paths.ts"
import { configureSwitch } from "./ovn-switch.ts"

const schemas = {
  nb: "/usr/share/ovn/ovn-nb.ovsschema",
  sb: "/usr/share/ovn/ovn-sb.ovsschema",
  ovs: "/usr/share/openvswitch/vswitch.ovsschema",
} as const

type DatabaseName = keyof typeof schemas

/** In the order in which they start. */
export function ovnEngines(options: OvnEngineOptions): EngineSpec[] {
  const { paths } = options
  const northd = daemon(options, "ovn-northd", "/usr/bin/ovn-northd", [
    `--ovnnb-db=unix:${paths.northboundSocket}`,
    `--ovnsb-db=unix:${paths.southboundSocket}`,
  ])
  const vswitchd = daemon(options, "ovs-vswitchd", "/usr/sbin/ovs-vswitchd", [`unix:${paths.switchSocket}`])
  const controller = daemon(options, "ovn-controller", "/usr/bin/ovn-controller", [
    `unix:${paths.switchSocket}`,
  ])
  return [
    database(options, "nb", paths.northboundSocket),
    database(options, "sb", paths.southboundSocket),
    {
      ...database(options, "ovs", paths.switchSocket),
      afterStart: () => configureSwitch(options),
    },
    { ...northd, isReady: () => answers(paths, "ovn-northd", "status", /active/) },
    { ...vswitchd, afterStart: () => matchFragments(paths) },
    { ...controller, isReady: () => answers(paths, "ovn-controller", "connection-status", /^connected/) },
  ]
}

const bridgeTimeoutMs = 10_000

/**
 * Fragments of a datagram pass OVN's rules one by one. A switch that was not told so shows them the first one without
 * its ports as well, and no rule that names one lets it pass. Lost with the daemon.
 */
async function matchFragments(paths: OvnPaths): Promise<void> {
  const control = join(paths.runDir, `${integrationBridge}.mgmt`)
  const set = async () =>
    (await exec("ovs-ofctl", ["set-frags", `unix:${control}`, "nx-match"], { okCodes: [0, 1] })).exitCode ===
    0
  await eventually("the integration bridge", set, { timeoutMs: bridgeTimeoutMs })
}

export const ovnEngineNames = [
  "ovsdb-nb",
  "ovsdb-sb",
  "ovsdb-ovs",
  "ovn-northd",
  "ovs-vswitchd",
  "ovn-controller",
]

function database(options: OvnEngineOptions, name: DatabaseName, socketPath: string): EngineSpec {
  const file = join(options.databaseDir, `${name}.db`)
  const spec = daemon(options, `ovsdb-${name}`, "/usr/sbin/ovsdb-server", [
    file,
    `--remote=punix:${socketPath}`,
  ])
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

function daemon(options: OvnEngineOptions, name: string, program: string, args: string[]): EngineSpec {
  const { paths } = options
  const [command = "", ...enter] = enterNetns(paths.netnsFile)
  const logging = ["-vconsole:info", "-vsyslog:off", "-vfile:off"]
  return {
    name,
    command,
    args: [...enter, program, ...args, ...controlOption(paths, name), "--no-chdir", ...logging],
    // OVS_RUNDIR is where br-int's control socket stands; the others keep them out of /etc and /var.
    env: {
      OVS_RUNDIR: paths.runDir,
      OVN_RUNDIR: paths.runDir,
      OVS_SYSCONFDIR: options.databaseDir,
      OVN_SYSCONFDIR: options.databaseDir,
      OVS_DBDIR: options.databaseDir,
      OVN_DBDIR: options.databaseDir,
      OVS_LOGDIR: options.logDir,
      OVN_LOGDIR: options.logDir,
    },
    logFile: join(options.logDir, `${name}.log`),
    isReady: () => answers(paths, name, "version", /\d/),
    stopGraceMs: 5_000,
    prepare: async () => removeControlSockets(paths, name),
  }
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
async function answers(paths: OvnPaths, name: string, command: string, expected: RegExp): Promise<boolean> {
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
