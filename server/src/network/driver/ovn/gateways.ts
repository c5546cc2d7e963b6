// Which hosts carry the routers' gateways. Routers share a few groups of hosts, so that a host that comes or goes
// changes those and no router. Each group prefers another host: by rendezvous hashing, where a host that joins takes
// over what it is now the best for, and one that leaves hands on its own alone.
import { createHash } from "node:crypto"
import type { Gateway } from "../network-driver.ts"
import { type DesiredRow, ownerOf, type RowKey } from "./row.ts"

export interface GatewayContext {
  cloudId: string
  /** Hosts that reach the external networks. */
  gateways: readonly Gateway[]
}

export const gatewaysOwner = ownerOf("cloud", "gateways")

const groupCount = 8

/** There as long as there is a router. */
export function gatewayRows({ cloudId, gateways }: GatewayContext): DesiredRow[] {
  return Array.from({ length: groupCount }, (_, n) => n).flatMap((n) => [
    {
      table: "HA_Chassis_Group" as const,
      id: groupId(n),
      owner: gatewaysOwner,
      columns: { name: `kumoi_gateways_${cloudId}_${n}` },
    },
    ...ranked(gateways, n).map(({ chassis }, index) => ({
      table: "HA_Chassis" as const,
      id: `${groupId(n)}-${chassis}`,
      owner: gatewaysOwner,
      columns: { chassis_name: chassis, priority: gateways.length - index },
      places: [{ table: "HA_Chassis_Group" as const, id: groupId(n), column: "ha_chassis" }],
    })),
  ])
}

/** The group that carries the router's gateway. */
export function gatewaysOf(routerId: string): RowKey {
  return { table: "HA_Chassis_Group", id: groupId(hash(routerId) % groupCount) }
}

const groupId = (n: number) => `gateways-${n}`

/** Best first. OVN takes of two with the same number either, so no two have it. */
function ranked(gateways: readonly Gateway[], n: number): Gateway[] {
  const weight = ({ chassis }: Gateway) => hash(`${n} ${chassis}`)
  return [...gateways].sort((one, other) => other.priority - one.priority || weight(other) - weight(one))
}

function hash(text: string): number {
  return createHash("sha256").update(text).digest().readUInt32BE()
}
