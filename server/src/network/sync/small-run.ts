// Ports of machines come and go all the time and stand alone: the engine is told of them without reading the rest.
import type { Tx } from "../../platform/db/database.ts"
import type {
  NetworkDriver,
  NetworkWant,
  ReconcileReport,
  WantNetwork,
  WantPort,
  WantSubnet,
} from "../driver/network-driver.ts"
import { wantPorts } from "./want.ts"

/** With more ports than this a small run is as long as a whole one. */
const smallRunPortsMost = 256

/** What the last whole run told the engine, as far as small runs need it. */
export interface KnownWant {
  networks: ReadonlyMap<string, WantNetwork>
  /** By network. */
  subnets: ReadonlyMap<string, readonly WantSubnet[]>
  /** Ports that the engine has. */
  homes: Map<string, { networkId: string; name: string | null }>
  /** Of more than one port of a network: which of them answers to it is found by looking at all. */
  sharedNames: ReadonlySet<string>
  groups: ReadonlySet<string>
  /** Ports that floating IPs point at: those are the router's business too. */
  translated: ReadonlySet<string>
}

export function knownOf(want: NetworkWant): KnownWant {
  return {
    networks: new Map(want.networks.map((network) => [network.id, network])),
    subnets: Map.groupBy(want.subnets, (subnet) => subnet.networkId),
    homes: new Map(want.ports.map((port) => [port.id, homeOf(port)])),
    sharedNames: sharedNames(want.ports),
    groups: new Set(want.securityGroups.map((group) => group.id)),
    translated: new Set(want.floatingIps.map((floatingIp) => floatingIp.portId)),
  }
}

const homeOf = ({ networkId, dnsName }: WantPort) => ({ networkId, name: dnsName })
const nameKey = (home: { networkId: string; name: string | null }) =>
  `${home.networkId} ${home.name?.toLowerCase()}`

function sharedNames(ports: readonly WantPort[]): Set<string> {
  const seen = new Set<string>()
  const shared = new Set<string>()
  for (const port of ports) {
    if (port.dnsName === null) continue
    const key = nameKey(homeOf(port))
    if (seen.has(key)) shared.add(key)
    seen.add(key)
  }
  return shared
}

/** Null when more than these ports must be looked at. */
export async function applyPorts(
  tx: Tx,
  driver: NetworkDriver,
  ids: readonly string[],
  known: KnownWant,
): Promise<ReconcileReport | null> {
  if (ids.length > smallRunPortsMost || ids.some((id) => known.translated.has(id))) return null
  const ports = await wantPorts(tx, ids)
  const stands = (port: WantPort) =>
    known.networks.has(port.networkId) && port.securityGroupIds.every((id) => known.groups.has(id))
  if (ports.some((port) => port.kind !== "vif" || !stands(port))) return null
  const before = ids.flatMap((id) => known.homes.get(id) ?? [])
  if ([...before, ...ports.map(homeOf)].some((home) => known.sharedNames.has(nameKey(home)))) return null
  const there = new Set(ports.map((port) => port.id))
  const gone = ids.flatMap((id) => {
    const home = known.homes.get(id)
    return there.has(id) || !home ? [] : [{ id, networkId: home.networkId }]
  })
  const homes = [...new Set(ports.map((port) => port.networkId))]
  const report = await driver.changePorts({
    ports,
    gone,
    networks: homes.flatMap((id) => known.networks.get(id) ?? []),
    subnets: homes.flatMap((id) => known.subnets.get(id) ?? []),
  })
  for (const port of ports) known.homes.set(port.id, homeOf(port))
  for (const { id } of gone) known.homes.delete(id)
  return report
}
