// What a start will use, decided before anything is started: drivers, packages, users, port.
import { createServer } from "node:net"
import { badConfig, type Config } from "../platform/config/config.ts"
import { Fault } from "../platform/fault/fault.ts"
import type { Door } from "../platform/http/listen.ts"
import { lookUpUser } from "./engines/postgres.ts"
import {
  backEndPackages,
  enginePackages,
  ensureSystemUser,
  installPackages,
  missingPackages,
  type NeededPackage,
} from "./packages.ts"
import type { UpOptions } from "./up-options.ts"

export interface StartPlan {
  hypervisor: "qemu" | "fake"
  network: "ovn" | "fake"
  /** PostgreSQL's user when we are root; null otherwise. */
  engineUser: { uid: number; gid: number } | null
  /** QEMU's: whoever breaks out of a guest must not be the one to whom the database's files and socket belong. */
  guestUser: { uid: number; gid: number } | null
  /** tgtd's: whoever breaks into it has what volumes it was lent, and nothing else. */
  storageUser: { uid: number; gid: number } | null
  /** What root would add, when something was left out for want of it. */
  hint: string | null
}

export const engineUserName = "kumoi"
const guestUserName = "kumoi-guest"
const storageUserName = "kumoi-storage"

export async function planStart(
  options: UpOptions,
  agent: Config["agent"],
  say: (line: string) => void,
): Promise<StartPlan> {
  await checkPorts(options)
  return await planDrivers({ ...options, ...agent }, say)
}

/** What runs machines and carries packets here; installs what that needs. */
export async function planDrivers(
  options: Pick<UpOptions, "hypervisor" | "network" | "isYes"> & Config["agent"],
  say: (line: string) => void,
): Promise<StartPlan> {
  const isRoot = process.getuid?.() === 0
  const hypervisor = options.hypervisor === "auto" ? (isRoot ? "qemu" : "fake") : options.hypervisor
  const network = options.network === "auto" ? (isRoot ? "ovn" : "fake") : options.network
  if (network === "ovn" && !isRoot) {
    throw new Fault(
      "precondition",
      "cli.needs_root",
      "--network ovn needs root: it makes namespaces and taps. Use sudo, or --network fake.",
    )
  }
  const wanted: NeededPackage[] = []
  if (hypervisor === "qemu") wanted.push(...enginePackages.qemu, ...enginePackages.guest)
  if (network === "ovn") wanted.push(...enginePackages.ovn)
  if (options.volumeBackEnds.some(({ kind }) => kind === "rbd")) {
    if (network === "ovn" && options.storageNetworks.length === 0) {
      const why = "name the networks of the Ceph's monitors and OSDs, or no machine reaches its volumes"
      throw badConfig("agent.storageNetworks", why)
    }
    wanted.push(...backEndPackages.rbd)
  }
  const iscsi = options.volumeBackEnds.filter((each) => each.kind === "iscsi")
  const givesVolumes = iscsi.some(({ portal }) => portal !== undefined)
  if (iscsi.length > 0) {
    if (network === "ovn" && options.storageNetworks.length === 0) {
      const why = "name the networks of the other hosts' portals, or no machine reaches their volumes"
      throw badConfig("agent.storageNetworks", why)
    }
    wanted.push(...backEndPackages.iscsi)
  }
  if (givesVolumes) wanted.push(...backEndPackages.iscsiTarget)
  if (wanted.length > 0) await installPackages(wanted, { say, isYes: options.isYes || !process.stdin.isTTY })
  const userOf = async (name: string) => {
    if (!isRoot) return null
    await ensureSystemUser(name)
    return await lookUpUser(name)
  }
  const engineUser = await userOf(engineUserName)
  const guestUser = hypervisor === "qemu" ? await userOf(guestUserName) : null
  const hint =
    isRoot || options.hypervisor !== "auto"
      ? null
      : "Not root: machines and networks are simulated. As root, `up` runs real ones (QEMU, OVN)."
  const storageUser = givesVolumes ? await userOf(storageUserName) : null
  return { hypervisor, network, engineUser, guestUser, storageUser, hint }
}

/** Finds out early: a taken port must not leave a half-started cloud. */
async function checkPorts(options: UpOptions): Promise<void> {
  await checkPort(options, options.port, "Choose another one: --port N")
  for (const { port } of await doorsOf(options))
    await checkPort(options, port, "Start without --classic-ports.")
}

/** The further ports of a cloud; identity's own is often the port of every API. */
export async function doorsOf(options: UpOptions): Promise<readonly Door[]> {
  if (!options.hasClassicPorts) return []
  const { services } = await import("../services.ts")
  return services.flatMap((s) => s.classicPorts ?? []).filter((door) => door.port !== options.port)
}

async function checkPort(options: UpOptions, port: number, wayOut: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const probe = createServer()
    probe.once("error", (error: NodeJS.ErrnoException) =>
      reject(portFault(error, `${options.listen}:${port}`, wayOut)),
    )
    probe.listen({ host: options.listen, port, exclusive: true }, () => probe.close(() => resolve()))
  })
}

function portFault(error: NodeJS.ErrnoException, at: string, wayOut: string): Fault {
  if (error.code === "EADDRINUSE") {
    return new Fault("conflict", "cli.port_taken", `${at} is taken by another program. ${wayOut}`)
  }
  if (error.code === "EACCES")
    return new Fault(
      "forbidden",
      "cli.port_denied",
      `${at} may only be opened by root. Use a port above 1023: --port N`,
    )
  return new Fault("invalid", "cli.listen_failed", `Cannot listen on ${at}: ${error.message}`, {
    cause: error,
  })
}

/** Which packages a real cloud would still need here; for doctor. */
export async function missingForRealCloud(): Promise<NeededPackage[]> {
  return await missingPackages(Object.values(enginePackages).flat())
}
