// What a port forwarding may be: which address it leads to, by which router, and that nothing else has its ports.
import { type RawBuilder, sql } from "kysely"
import type { Tx } from "../../platform/db/database.ts"
import {
  badPortForwarding,
  floatingIpTargetTaken,
  portForwardingCollides,
  portHasFloatingIp,
  portNotFound,
} from "../faults.ts"
import { routerBetween } from "../floating-ip/associate.ts"
import type { FloatingIp } from "../floating-ip/floating-ip.ts"
import { loadPort } from "../port/read.ts"
import { lockRow } from "../resource/standard.ts"
import type { Viewer } from "../resource/viewer.ts"
import type { PortRange } from "./port-forwarding.ts"

/** All of what is to be; the address is chosen when none is asked for. */
export interface Forwarding {
  id: string
  protocol: string
  internalPortId: string
  internalIpAddress: string | undefined
  internal: PortRange
  external: PortRange
}

export const rangeText = ({ first, last }: PortRange) => `${first}:${last}`

/** What is asked as one port or as a range; undefined when neither is. */
export function rangeOf(
  key: "internal_port" | "external_port",
  port: number | null | undefined,
  range: string | undefined,
): PortRange | undefined {
  const single = port ?? undefined
  const one = single === undefined ? undefined : { first: single, last: single }
  if (range === undefined) return one
  const [first = 0, last = first] = range.split(":").map(Number)
  const isOutside = (each: number) => each < 1 || each > 65_535
  if (isOutside(first) || isOutside(last))
    throw badPortForwarding("Invalid port value, the port value must be a value between 1 and 65535")
  if (first > last)
    throw badPortForwarding(`Invalid ${key}_range ${range}: the first port must not be above the second one`)
  if (one && (one.first !== first || one.last !== last))
    throw badPortForwarding(`${key} ${single} is not the ${key}_range ${range}`)
  return { first, last }
}

/** As many outer ports as inner ones, or any number of them for one inner port. */
export function checkRelation(internal: PortRange, external: PortRange, most: number): void {
  const [inner, outer] = [internal, external].map(({ first, last }) => last - first)
  if (inner !== 0 && inner !== outer) {
    throw badPortForwarding(
      "Invalid ranges of internal and/or external ports. The relation between internal and external ports must be N-N or 1-N",
    )
  }
  if (outer !== undefined && outer >= most)
    throw badPortForwarding(`external_port_range ${rangeText(external)} has more than ${most} ports`)
}

/** Ports before floating IPs, as whoever deletes a port takes them. */
export async function lockPort(tx: Tx, portId: string, viewer: Viewer): Promise<void> {
  const { id } = await loadPort(tx, portId, viewer)
  await lockRow(tx, "port", id, portNotFound)
}

/** The rows of its port and of the floating IP are locked. Its address, and the router on the way there. */
export async function checkForwarding(
  tx: Tx,
  fip: FloatingIp,
  wanted: Forwarding,
): Promise<{ internalIpAddress: string; routerId: string }> {
  const { internalPortId } = wanted
  if (fip.portId !== null) {
    const { floatingIpAddress, floatingNetworkId, fixedIpAddress } = fip
    throw floatingIpTargetTaken(
      floatingIpAddress,
      fip.id,
      fip.portId,
      fixedIpAddress ?? "",
      floatingNetworkId,
    )
  }
  const inner = await innerAddress(tx, wanted)
  const { rows } = await sql<{ id: string; address: string }>`select id, host(address) as address
    from network.floating_ip where fixed_port_id = ${internalPortId} limit 1`.execute(tx)
  const [bound] = rows
  if (bound) throw portHasFloatingIp(bound.address, bound.id, internalPortId, inner.ipAddress)
  const routerId = await routerBetween(tx, inner.subnetId, fip.floatingNetworkId)
  if (routerId === undefined) {
    throw badPortForwarding(
      `External network ${fip.floatingNetworkId} is not reachable from subnet ${inner.subnetId}. ` +
        `Cannot set Port forwarding for port ${internalPortId} with Floating IP ${fip.id}`,
    )
  }
  if (fip.routerId !== null && fip.routerId !== routerId) {
    throw badPortForwarding(
      `The Floating IP ${fip.id} had been set on router ${fip.routerId}, ` +
        `the internal Neutron port ${internalPortId} can not reach it`,
    )
  }
  await checkCollisions(tx, fip.id, wanted, inner.ipAddress)
  return { internalIpAddress: inner.ipAddress, routerId }
}

async function innerAddress(
  tx: Tx,
  { internalPortId, internalIpAddress }: Forwarding,
): Promise<{ ipAddress: string; subnetId: string }> {
  const port = await loadPort(tx, internalPortId)
  const four = port.fixedIps.filter((ip) => !ip.ipAddress.includes(":"))
  const [first] = four
  if (!first) {
    throw badPortForwarding(
      `Requested internal port ${internalPortId} must allocate an IPv4 address at least`,
    )
  }
  if (internalIpAddress === undefined) return first
  const found = four.find((ip) => ip.ipAddress === internalIpAddress)
  if (found) return found
  throw badPortForwarding(
    `Requested internal IP address ${internalIpAddress} is not suitable for internal neutron port ` +
      `${internalPortId}, as its fixed_ips are ${four.map((ip) => ip.ipAddress).join(", ")}`,
  )
}

async function checkCollisions(
  tx: Tx,
  floatingIpId: string,
  { id, protocol, internalPortId, internal, external }: Forwarding,
  internalIpAddress: string,
): Promise<void> {
  const collide = async (
    key: string,
    range: PortRange,
    columns: "internal" | "external",
    same: RawBuilder<boolean>,
  ) => {
    const [first, last] = [sql.ref(`${columns}_port_first`), sql.ref(`${columns}_port_last`)]
    const { rows } = await sql<{ range: string }>`select ${first} || ':' || ${last} as range
      from network.port_forwarding where id <> ${id} and protocol = ${protocol} and ${same}
        and ${first} <= ${range.last} and ${last} >= ${range.first} limit 1`.execute(tx)
    if (rows[0]) throw portForwardingCollides(key, rows[0].range, rangeText(range))
  }
  await collide(
    "internal_port_range",
    internal,
    "internal",
    sql<boolean>`internal_port_id = ${internalPortId} and internal_ip_address = ${internalIpAddress}`,
  )
  await collide("external_port_range", external, "external", sql<boolean>`floating_ip_id = ${floatingIpId}`)
}
