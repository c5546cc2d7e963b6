// Where the network of one cloud lives on a host. Everything follows from the cloud's id (8 hex digits), so that
// a later process finds and removes it with nothing else at hand. Sockets lie in /run and not in the data
// directory: a unix socket's path has room for 107 characters, and after a reboot they are gone by themselves.
import { join } from "node:path"
import { netnsDir } from "../../agent/ports/netns.ts"
import { invalid } from "../../platform/fault/fault.ts"

export interface OvnPaths {
  cloudId: string
  runDir: string
  /** What the host was like before, for tear-down. */
  recordFile: string
  netns: string
  netnsFile: string
  northboundSocket: string
  southboundSocket: string
  switchSocket: string
  /** The interface in the namespace where Kumoi was started; it bears the public network's gateway address. */
  hostLink: string
  /** Its other end, a port of the external bridge inside the cloud's namespace. */
  bridgeLink: string
  nftTable: string
  /** Where Kumoi serves metadata over HTTP for the proxy; see `shareWithProxy`. */
  metadataSocket: string
  /** Configuration and sockets of the metadata proxy. */
  proxyDir: string
}

export type DatapathType = "netdev" | "system"

export interface OvnEngineOptions {
  paths: OvnPaths
  /** Databases go here; made when missing. */
  databaseDir: string
  logDir: string
  /** Name of this host among the chassis; ports ask for it. */
  hostId: string
  /** Name under which networks ask for the external bridge, e.g. `public`. */
  physicalNetwork: string
  datapathType: DatapathType
}

export const integrationBridge = "br-int"
export const externalBridge = "br-ex"

export function ovnPaths(cloudId: string): OvnPaths {
  if (!/^[0-9a-f]{8}$/.test(cloudId))
    throw invalid("cloudId", "The id of a cloud is 8 lower-case hex digits.")
  const runDir = `/run/kumoi-${cloudId}`
  const netns = `kumoi-${cloudId}`
  return {
    cloudId,
    runDir,
    recordFile: join(runDir, "host.json"),
    netns,
    netnsFile: join(netnsDir, netns),
    northboundSocket: join(runDir, "nb.sock"),
    southboundSocket: join(runDir, "sb.sock"),
    switchSocket: join(runDir, "ovs.sock"),
    hostLink: `km-${cloudId}`,
    bridgeLink: `kx-${cloudId}`,
    nftTable: `kumoi_${cloudId}`,
    metadataSocket: join(runDir, "metadata.sock"),
    proxyDir: join(runDir, "proxy"),
  }
}
