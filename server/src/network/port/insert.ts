// The row of a port with its addresses and groups; no quota and no policy: those are the caller's.
import { sql } from "kysely"
import type { Tx } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { macAddressInUse, networkNotFound } from "../faults.ts"
import { type FixedIpRequest, takePortAddresses } from "../ipam/choose.ts"
import { noteChanged } from "../sync/changes.ts"
import type { AddressPair, DhcpOption } from "./port.ts"

export interface NewPort {
  id?: string
  networkId: string
  projectId: string
  name?: string
  description?: string
  tags?: string[]
  adminStateUp?: boolean
  status?: string
  macAddress?: string | undefined
  deviceId?: string
  deviceOwner?: string
  /** Absent: as the network's subnets have it. */
  fixedIps?: readonly FixedIpRequest[] | undefined
  securityGroups?: readonly string[]
  portSecurityEnabled?: boolean
  hostId?: string
  vnicType?: string
  bindingProfile?: Record<string, unknown>
  dnsName?: string
  dnsDomain?: string
  allowedAddressPairs?: readonly Partial<AddressPair>[]
  extraDhcpOpts?: readonly DhcpOption[]
  propagateUplinkStatus?: boolean
  /** Of a port that is made for a server: only the server-port verbs bind one. */
  serverInterface?: { serverId: string; index: number; tag: string | null }
}

/** Prefix of the addresses that OpenStack gives out: registered to nobody, locally known. */
const macPrefix = "fa:16:3e"
const macAttemptsMax = 16

export function randomMac(): string {
  const hex = newUuid().slice(-6)
  return `${macPrefix}:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4, 6)}`
}

export async function insertPort(tx: Tx, port: NewPort): Promise<{ id: string; addresses: string[] }> {
  const id = port.id ?? newUuid()
  const macAddress = await insertRow(tx, id, port)
  const addresses = await takePortAddresses(tx, {
    portId: id,
    networkId: port.networkId,
    macAddress,
    deviceOwner: port.deviceOwner ?? "",
    fixedIps: port.fixedIps,
  })
  if (port.allowedAddressPairs && port.allowedAddressPairs.length > 0) {
    const pairs = port.allowedAddressPairs.map((p) => ({ ...p, macAddress: p.macAddress ?? macAddress }))
    await sql`update network.port set allowed_address_pairs = ${JSON.stringify(pairs)}::jsonb where id = ${id}`.execute(
      tx,
    )
  }
  await linkSecurityGroups(tx, id, port.securityGroups ?? [])
  noteChanged(tx, { ports: [id] })
  return { id, addresses }
}

export async function linkSecurityGroups(tx: Tx, portId: string, groupIds: readonly string[]): Promise<void> {
  if (groupIds.length === 0) return
  await tx
    .insertInto("network.port_security_group")
    .values([...new Set(groupIds)].map((groupId) => ({ port_id: portId, security_group_id: groupId })))
    .execute()
}

async function insertRow(tx: Tx, id: string, port: NewPort): Promise<string> {
  for (let attempt = 0; attempt < macAttemptsMax; attempt++) {
    const macAddress = port.macAddress ?? randomMac()
    const row = await tx
      .insertInto("network.port")
      .values({
        id,
        network_id: port.networkId,
        project_id: port.projectId,
        name: port.name ?? "",
        description: port.description ?? "",
        tags: [...new Set(port.tags ?? [])],
        is_admin_up: port.adminStateUp ?? true,
        status: port.status ?? "DOWN",
        mac_address: macAddress,
        device_id: port.deviceId ?? "",
        device_owner: port.deviceOwner ?? "",
        is_port_security_enabled: port.portSecurityEnabled ?? true,
        host_id: port.hostId ?? "",
        vnic_type: port.vnicType ?? "normal",
        binding_profile: JSON.stringify(port.bindingProfile ?? {}),
        dns_name: port.dnsName ?? "",
        dns_domain: port.dnsDomain ?? "",
        extra_dhcp_options: JSON.stringify(port.extraDhcpOpts ?? []),
        is_uplink_status_propagated: port.propagateUplinkStatus ?? true,
        server_id: port.serverInterface?.serverId ?? null,
        server_interface_index: port.serverInterface?.index ?? null,
        server_interface_tag: port.serverInterface?.tag ?? null,
        is_made_by_compute: port.serverInterface !== undefined,
      })
      .onConflict((oc) => oc.constraint("port_mac_address").doNothing())
      .returning("id")
      .executeTakeFirst()
    if (row) return macAddress
    if (port.macAddress !== undefined) throw macAddressInUse(port.networkId, port.macAddress)
  }
  throw networkNotFound(port.networkId)
}
