// The six daemons of OVN and Open vSwitch. Three are the cloud's, where its control plane is: two databases and what
// makes flows of the wanted network. Three are each host's: its switch, the switch's database, and what brings the
// flows to it.
import { join } from "node:path"
import { eventually } from "../../platform/clock/clock.ts"
import { exec } from "../../platform/exec/exec.ts"
import type { EngineSpec } from "../../platform/supervise/supervisor.ts"
import { answers, daemon, database } from "./ovn-daemon.ts"
import { type CentralOptions, type ChassisOptions, integrationBridge, type OvnPaths } from "./ovn-paths.ts"
import { configureSwitch } from "./ovn-switch.ts"
import { addressTunnel } from "./ovn-tunnel.ts"

/** All of a cloud on one machine, in the order in which they start. */
export function ovnEngines(options: ChassisOptions): EngineSpec[] {
  return [...centralEngines(options), ...chassisEngines(options)]
}

export function centralEngines(options: CentralOptions): EngineSpec[] {
  const { paths } = options
  const northd = daemon(options, {
    name: "ovn-northd",
    program: "/usr/bin/ovn-northd",
    args: [`--ovnnb-db=unix:${paths.northboundSocket}`, `--ovnsb-db=unix:${paths.southboundSocket}`],
  })
  return [
    database(options, "nb", { socketPath: paths.northboundSocket }),
    database(options, "sb", {
      socketPath: paths.southboundSocket,
      args: southboundRemotes(),
      placement: "host",
    }),
    { ...northd, isReady: () => answers(paths, "ovn-northd", "status", /active/) },
  ]
}

/** A copy of the database of another host, which it follows by the socket `from`; that one's bytes come through a relay. */
export function followingDatabase(options: CentralOptions, name: "nb" | "sb", from: string): EngineSpec {
  const socketPath = join(options.paths.runDir, `${name}-follows.sock`)
  return database(options, name, { socketPath, args: [`--sync-from=unix:${from}`] })
}

/** Rows of the database itself say where else it listens and by which certificate; see ovn-southbound.ts. */
function southboundRemotes(): string[] {
  const row = (column: string) => `db:OVN_Southbound,SSL,${column}`
  return [
    "--remote=db:OVN_Southbound,SB_Global,connections",
    `--private-key=${row("private_key")}`,
    `--certificate=${row("certificate")}`,
    `--ca-cert=${row("ca_cert")}`,
    `--ssl-protocols=${row("ssl_protocols")}`,
  ]
}

export function chassisEngines(options: ChassisOptions): EngineSpec[] {
  const { paths, isRelayed = false } = options
  const switchRemote = `unix:${paths.switchSocket}`
  const controller = daemon(options, {
    name: "ovn-controller",
    program: "/usr/bin/ovn-controller",
    args: [switchRemote],
  })
  const vswitchd = daemon(options, {
    name: "ovs-vswitchd",
    program: "/usr/sbin/ovs-vswitchd",
    args: [switchRemote],
  })
  return [
    {
      ...database(options, "ovs", { socketPath: paths.switchSocket }),
      afterStart: () => configureSwitch(options),
    },
    {
      ...vswitchd,
      afterStart: async () => {
        await matchFragments(paths)
        await addressTunnel(paths)
      },
    },
    // A host that joined starts without its cloud as well, and connects when that is back.
    isRelayed
      ? controller
      : { ...controller, isReady: () => answers(paths, "ovn-controller", "connection-status", /^connected/) },
  ]
}

/** After `setUpNetworkHost` was told of another tunnel, or of none: the running engines follow. */
export async function retellChassis(options: ChassisOptions): Promise<void> {
  await configureSwitch(options)
  await addressTunnel(options.paths)
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
  "ovn-northd",
  "ovsdb-ovs",
  "ovs-vswitchd",
  "ovn-controller",
]
