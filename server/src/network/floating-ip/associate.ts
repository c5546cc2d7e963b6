// Points a floating IP at an address of a port.
import { sql } from "kysely"
import type { Tx } from "../../platform/db/database.ts"
import { violatedConstraint } from "../../platform/db/database.ts"
import {
  badRequest,
  floatingIpForwards,
  floatingIpTargetTaken,
  notReachable,
  portHasForwardings,
} from "../faults.ts"
import type { Port } from "../port/port.ts"
import { loadPort } from "../port/read.ts"
import { updateRow } from "../resource/standard.ts"
import type { Viewer } from "../resource/viewer.ts"

export interface Association {
  portId: string
  fixedIpAddress: string | undefined
}

interface Target {
  id: string
  projectId: string
  floatingNetworkId: string
  floatingIpAddress: string
}

const bad = (why: string) => badRequest(`Bad floatingip request: ${why}.`)

/** The floating IP's row is locked (or new) in this transaction. */
export async function pointFloatingIp(
  tx: Tx,
  fip: Target,
  to: Association,
  { viewer, isDistributed }: { viewer: Viewer; isDistributed: boolean },
): Promise<void> {
  const { rows: forwards } = await sql`select from network.port_forwarding where floating_ip_id = ${fip.id}
    limit 1`.execute(tx)
  if (forwards.length > 0) throw floatingIpForwards(fip.id)
  const port = await loadPort(tx, to.portId, viewer)
  if (isDistributed) await checkForwardsNothing(tx, port.id)
  if (port.projectId !== fip.projectId && !viewer.seesAll) {
    throw bad(
      `Port ${port.id} is associated with a different tenant than Floating IP ${fip.id} and therefore cannot be bound`,
    )
  }
  const fixed = chooseFixedIp(port, to.fixedIpAddress)
  const { rows: taken } = await sql`select from network.floating_ip where fixed_port_id = ${port.id}
    and fixed_ip_address = ${fixed.ipAddress} and floating_network_id = ${fip.floatingNetworkId} and id <> ${fip.id}`.execute(
    tx,
  )
  const conflict = () =>
    floatingIpTargetTaken(fip.floatingIpAddress, fip.id, port.id, fixed.ipAddress, fip.floatingNetworkId)
  if (taken.length > 0) throw conflict()
  const routerId = await routerBetween(tx, fixed.subnetId, fip.floatingNetworkId)
  if (!routerId) throw notReachable(fip.floatingNetworkId, fixed.subnetId, port.id)
  try {
    await updateRow(tx, "floatingIp", fip.id, {
      fixed_port_id: port.id,
      fixed_ip_address: fixed.ipAddress,
      router_id: routerId,
    })
  } catch (error) {
    if (violatedConstraint(error) === "floating_ip_target") throw conflict()
    throw error
  }
}

/** The answers of a port with a distributed floating IP leave by its own host, past where they would be turned back. */
async function checkForwardsNothing(tx: Tx, portId: string): Promise<void> {
  await sql`select from network.port where id = ${portId} for update`.execute(tx)
  const { rows } = await sql`select from network.port_forwarding where internal_port_id = ${portId}
    limit 1`.execute(tx)
  if (rows.length > 0) throw portHasForwardings(portId)
}

function chooseFixedIp(port: Port, wanted: string | undefined): { ipAddress: string; subnetId: string } {
  if (wanted !== undefined) {
    const found = port.fixedIps.find((ip) => ip.ipAddress === wanted)
    if (!found) throw bad(`Port ${port.id} does not have fixed ip ${wanted}`)
    if (wanted.includes(":"))
      throw bad(`Cannot process floating IP association with ${wanted}, since that is not an IPv4 address`)
    return found
  }
  const four = port.fixedIps.filter((ip) => !ip.ipAddress.includes(":"))
  const [first] = four
  if (!first) throw bad(`Cannot add floating IP to port ${port.id} that has no fixed IPv4 addresses`)
  if (four.length > 1) {
    throw bad(
      `Port ${port.id} has multiple fixed IPv4 addresses.  Must provide a specific IPv4 address when assigning a floating IP`,
    )
  }
  return first
}

/** A router on the subnet whose gateway is on the external network; best the one that is the subnet's own gateway. */
export async function routerBetween(
  tx: Tx,
  subnetId: string,
  networkId: string,
): Promise<string | undefined> {
  const { rows } = await sql<{ id: string }>`
    select i.router_id as id from network.router_interface i
    join network.subnet s on s.id = i.subnet_id
    join network.port g on g.device_id = i.router_id::text and g.device_owner = 'network:router_gateway'
      and g.network_id = ${networkId}
    left join network.ip_allocation a on a.port_id = i.port_id and a.address = s.gateway_ip
    where i.subnet_id = ${subnetId}
    order by (a.address is not null) desc, i.router_id limit 1`.execute(tx)
  return rows[0]?.id
}
