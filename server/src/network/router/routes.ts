// Extra routes of a router: each next hop must lie on a network that the router is on.
import { sql } from "kysely"
import type { Tx } from "../../platform/db/database.ts"
import { formatPrefix, parseAddress, parsePrefix, prefixContains } from "../../platform/net/address.ts"
import { badRoutes, tooManyRoutes } from "../faults.ts"
import type { HostRoute } from "../subnet/subnet.ts"

/** The routes with canonical destinations; throws when one cannot work. */
export async function checkRoutes(
  tx: Tx,
  routerId: string,
  routes: readonly HostRoute[],
  max: number,
): Promise<HostRoute[]> {
  if (routes.length > max) throw tooManyRoutes(routerId, max)
  if (routes.length === 0) return []
  const shown = JSON.stringify(routes)
  const { rows } = await sql<{ cidr: string; own: string }>`
    select s.cidr::text as cidr, host(a.address) as own
    from network.port p join network.ip_allocation a on a.port_id = p.id join network.subnet s on s.id = a.subnet_id
    where p.device_id = ${routerId} and p.device_owner in ('network:router_interface', 'network:router_gateway')`.execute(
    tx,
  )
  const seen = new Set<string>()
  return routes.map((route) => {
    const destination = parsePrefix(route.destination)
    const nexthop = parseAddress(route.nexthop)
    if (!destination || !nexthop || destination.version !== nexthop.version)
      throw badRoutes(shown, "a route needs a destination prefix and a next hop of the same IP version")
    const isConnected = rows.some((row) => {
      const prefix = parsePrefix(row.cidr)
      return prefix !== undefined && prefixContains(prefix, nexthop)
    })
    if (!isConnected) throw badRoutes(shown, "the nexthop is not connected with router")
    if (rows.some((row) => row.own === route.nexthop)) throw badRoutes(shown, "the nexthop is used by router")
    const key = `${formatPrefix(destination)} ${route.nexthop}`
    if (seen.has(key)) throw badRoutes(shown, "a route is there twice")
    seen.add(key)
    return { destination: formatPrefix(destination), nexthop: route.nexthop }
  })
}
