// The row of a port with its addresses and groups; no quota and no policy: those are the caller's.
import { sql } from "kysely"
import type { Tx } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { insertThing } from "../../platform/noun/list.ts"
import { macAddressInUse, networkNotFound } from "../faults.ts"
import { type FixedIpRequest, takePortAddresses } from "../ipam/choose.ts"
import { everything, type Viewer } from "../resource/viewer.ts"
import { noteChanged } from "../sync/changes.ts"
import { type AddressPair, type DhcpOption, type Port, portNoun } from "./port.ts"

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

/** The addresses last: nobody else gets them while the transaction goes on. */
export async function insertPort(tx: Tx, port: NewPort, viewer: Viewer = everything): Promise<Port> {
  const securityGroups = [...new Set(port.securityGroups ?? [])].sort()
  const made = await makeRow(tx, port, securityGroups, { ...viewer, seesAll: true })
  const fixedIps = await takePortAddresses(tx, {
    portId: made.id,
    networkId: port.networkId,
    macAddress: made.macAddress,
    deviceOwner: port.deviceOwner ?? "",
    fixedIps: port.fixedIps,
  })
  noteChanged(tx, { ports: [made.id] })
  return { ...made, fixedIps, securityGroups }
}

export async function linkSecurityGroups(tx: Tx, portId: string, groupIds: readonly string[]): Promise<void> {
  if (groupIds.length === 0) return
  await tx
    .insertInto("network.port_security_group")
    .values([...new Set(groupIds)].map((groupId) => ({ port_id: portId, security_group_id: groupId })))
    .execute()
}

async function makeRow(tx: Tx, port: NewPort, groupIds: readonly string[], viewer: Viewer): Promise<Port> {
  const id = port.id ?? newUuid()
  const groups = sql`insert into network.port_security_group (port_id, security_group_id)
    select made.id, g.id from made, unnest(${groupIds}::uuid[]) g (id)`
  for (let attempt = 0; attempt < macAttemptsMax; attempt++) {
    const macAddress = port.macAddress || randomMac()
    const pairs = (port.allowedAddressPairs ?? []).map((p) => ({
      ...p,
      macAddress: p.macAddress ?? macAddress,
    }))
    const made = await insertThing(tx, portNoun, viewer, {
      constraint: "port_mac_address",
      values: {
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
        allowed_address_pairs: JSON.stringify(pairs),
      },
      with: groupIds.length === 0 ? [] : [groups],
    })
    if (made) return made
    if (port.macAddress) throw macAddressInUse(port.networkId, port.macAddress)
  }
  throw networkNotFound(port.networkId)
}
