// Removes what a cloud may have left on the host: after a clean stop there is nothing; after a kill -9 there are
// engines, machines, namespaces. Knows everything from the data directory alone.
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { agentDirectories } from "../agent/machine-store.ts"
import { endProcess, isProcessAlive, type ProcessIdentity } from "../platform/exec/process.ts"
import { silentLogger } from "../platform/log/log.ts"
import { endLeftEngines } from "../platform/supervise/supervisor.ts"
import { type CloudDir, readJson } from "./cloud-dir.ts"
import { apiProcessesMost, apiProcessNames } from "./engines/api-process.ts"
import { metadataProxyName } from "./engines/haproxy-metadata.ts"
import { ovnEngineNames } from "./engines/ovn.ts"
import { tearDownNetworkHost } from "./engines/ovn-host.ts"
import { ovnPaths } from "./engines/ovn-paths.ts"
import { tgtdEngineNames } from "./engines/tgtd.ts"
import { fleetProcessNames } from "./fleet/fleet-file.ts"

/** In this order: who uses something ends before what it uses. */
export async function removeLeftovers(dir: CloudDir): Promise<string[]> {
  const done: string[] = []
  for (const name of await endMachines(dir)) done.push(`ended machine ${name}`)
  const engines = [
    ...apiProcessNames(apiProcessesMost),
    ...fleetProcessNames,
    metadataProxyName,
    ...tgtdEngineNames(dir.runDir),
    ...[...ovnEngineNames].reverse(),
    "postgres",
  ]
  for (const name of await endLeftEngines(dir.runDir, engines)) done.push(`ended ${name}`)
  const paths = ovnPaths(dir.facts.cloudId)
  if (existsSync(paths.netnsFile) || existsSync(paths.recordFile)) {
    await tearDownNetworkHost({ id: dir.facts.cloudId, log: silentLogger })
    done.push("removed the cloud's network from this host")
  }
  return done
}

/** Whether engines or machines of an earlier process live: what starts now continues it. */
export function isContinuation(dir: CloudDir): boolean {
  const engines = join(dir.runDir, "engines")
  const files = existsSync(engines) ? readdirSync(engines).map((name) => join(engines, name)) : []
  const lives = files.some((file) => {
    const identity = file.endsWith(".json")
      ? readJson<{ identity?: ProcessIdentity }>(file)?.identity
      : undefined
    return identity !== undefined && isProcessAlive(identity)
  })
  return lives || machinesOf(dir).length > 0
}

interface StoredMachine {
  handle?: { process?: ProcessIdentity | null } | null
  process?: ProcessIdentity | null
}

/** Machines whose process outlived Kumoi; their disks stay. */
async function endMachines(dir: CloudDir): Promise<string[]> {
  const found = machinesOf(dir)
  for (const { identity } of found) await endProcess(identity, { graceMs: 1_000 })
  return found.map(({ name }) => name)
}

/** Those that live. */
function machinesOf(dir: CloudDir): { name: string; identity: ProcessIdentity }[] {
  const { vms } = agentDirectories(dir.path)
  if (!existsSync(vms)) return []
  return readdirSync(vms).flatMap((name) => {
    const stored = readJson<StoredMachine>(join(vms, name, "handle.json"))
    const identity = stored?.handle?.process ?? stored?.process
    return identity && isProcessAlive(identity) ? [{ name, identity }] : []
  })
}
