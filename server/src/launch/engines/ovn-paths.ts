// Where the network of one cloud lives on a host. Everything follows from an id (8 hex digits), so that a later
// process finds and removes it with nothing else at hand: the cloud's id where the control plane is, and on a host
// that joined one of its own, since two hosts of a cloud may stand in two namespaces of one machine, where they share
// /run. Sockets lie in /run and not in the data directory: a unix socket's path has room for 107 characters, and after
// a reboot they are gone by themselves.
import { join } from "node:path"
import { netnsDir } from "../../agent/ports/netns.ts"
import { invalid } from "../../platform/fault/fault.ts"
import type { TlsFiles } from "../../platform/http/tls.ts"
import type { BridgeMappings } from "../../platform/net/bridge-mappings.ts"

export interface OvnPaths {
  id: string
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
  /** The way of the tunnels out of the cloud's namespace, in a host that has others beside it. */
  tunnelLink: string
  /** Its other end, inside. */
  tunnelPeer: string
  tunnelTable: string
  /** The way to storage that QEMU reaches itself, and its other end, inside. */
  storageLink: string
  storagePeer: string
  storageTable: string
  /** Where Kumoi serves metadata over HTTP for the proxy; see `shareWithProxy`. */
  metadataSocket: string
  /** Configuration and sockets of the metadata proxy. */
  proxyDir: string
}

export type DatapathType = "netdev" | "system"

/** This side's certificate and key, and the authority that signs the other side's. */
export interface PeerTls extends TlsFiles {
  caFile: string
}

export interface CentralOptions {
  paths: OvnPaths
  /** Databases go here; made when missing. */
  databaseDir: string
  logDir: string
}

export interface ChassisOptions extends CentralOptions {
  /** Name of this host among the chassis; ports ask for it, and its certificate bears it. */
  hostId: string
  /** It is a gateway of the public network itself, by the external bridge. */
  isPublic: boolean
  /** By which bridges of the machine it reaches physical networks. */
  bridgeMappings?: BridgeMappings
  datapathType: DatapathType
  /**
   * The southbound database is another host's, and a relay stands at its socket (ovn-southbound-relay.ts), or it was
   * until now. The controller connects when it can.
   */
  isRelayed?: boolean
}

export const integrationBridge = "br-int"
/** Open vSwitch makes tunnels over a bridge that has the tunnel's address, where the kernel makes none. */
export const tunnelBridge = "br-phy"

export function ovnPaths(id: string): OvnPaths {
  if (!/^[0-9a-f]{8}$/.test(id))
    throw invalid("id", "The id of a cloud or of one of its hosts is 8 lower-case hex digits.")
  const runDir = `/run/kumoi-${id}`
  const netns = `kumoi-${id}`
  return {
    id,
    runDir,
    recordFile: join(runDir, "host.json"),
    netns,
    netnsFile: join(netnsDir, netns),
    northboundSocket: join(runDir, "nb.sock"),
    southboundSocket: join(runDir, "sb.sock"),
    switchSocket: join(runDir, "ovs.sock"),
    hostLink: `km-${id}`,
    bridgeLink: `kx-${id}`,
    nftTable: `kumoi_${id}`,
    tunnelLink: `kt-${id}`,
    tunnelPeer: `ku-${id}`,
    tunnelTable: `kumoi_tunnel_${id}`,
    storageLink: `ks-${id}`,
    storagePeer: `kq-${id}`,
    storageTable: `kumoi_storage_${id}`,
    metadataSocket: join(runDir, "metadata.sock"),
    proxyDir: join(runDir, "proxy"),
  }
}
