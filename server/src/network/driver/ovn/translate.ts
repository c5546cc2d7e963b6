import type { NetworkChange } from "../network-driver.ts"
import { subnetDhcpRow } from "./dhcp.ts"
import { type GatewayContext, gatewayRows } from "./gateways.ts"
import { portForwardingRow } from "./port-forwarding.ts"
import { floatingIpRows, routerRows } from "./router.ts"
import type { DesiredRow } from "./row.ts"
import { dropGroupRows, groupRows } from "./security-group.ts"
import { networkRows, portRows } from "./switch.ts"

/** All rows that OVN's northbound database shall hold for what is told. */
export function translate({ want, told }: NetworkChange, context: GatewayContext): DesiredRow[] {
  const networks = new Map(want.networks.map((network) => [network.id, network]))
  const subnets = new Map(want.subnets.map((subnet) => [subnet.id, subnet]))
  const around = { networks, subnets }
  const rows: DesiredRow[] = []
  const theTold = <T extends { id: string }>(things: readonly T[], ids: readonly string[]): T[] => {
    const isTold = new Set(ids)
    return things.filter((thing) => isTold.has(thing.id))
  }
  for (const network of theTold(want.networks, told.networks)) rows.push(...networkRows(network))
  for (const subnet of theTold(want.subnets, told.subnets)) {
    const network = networks.get(subnet.networkId)
    const row = network && subnetDhcpRow(subnet, network)
    if (row) rows.push(row)
  }
  for (const port of theTold(want.ports, told.ports)) {
    const network = networks.get(port.networkId)
    if (network) rows.push(...portRows(port, network, subnets))
  }
  for (const router of theTold(want.routers, told.routers)) rows.push(...routerRows(router, around))
  for (const floatingIp of theTold(want.floatingIps, told.floatingIps))
    rows.push(...floatingIpRows(floatingIp))
  for (const forwarding of theTold(want.portForwardings, told.portForwardings))
    rows.push(portForwardingRow(forwarding))
  for (const group of theTold(want.securityGroups, told.securityGroups)) rows.push(...groupRows(group))
  // A few rows, compared with each change: every port with port security stands in this group.
  if (want.networks.length > 0) rows.push(...dropGroupRows(context.cloudId))
  if (want.routers.length > 0) rows.push(...gatewayRows(context))
  return rows
}
