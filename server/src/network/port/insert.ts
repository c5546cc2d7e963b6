// The row of a port with its addresses and groups; no quota and no policy: those are the caller's.
import { sql } from "kysely"
import type { Tx } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { insertThingWith, type Making } from "../../platform/noun/list.ts"
import { macAddressInUse, networkNotFound } from "../faults.ts"
import { type SubnetFacts, subnetsOfNetwork, takingWithPort } from "../ipam/allocate.ts"
import { type FixedIpRequest, firstChoice, type TakenAddress, takePortAddresses } from "../ipam/choose.ts"
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
  /** Taken by `takeQosPolicy`. */
  qosPolicyId?: string | null
  /** The network's subnets, where the caller has read them in this transaction. */
  subnets?: readonly SubnetFacts[]
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
  const { deviceOwner = "" } = port
  const needsNone = port.fixedIps?.length === 0
  const subnets = port.subnets ?? (needsNone ? [] : await subnetsOfNetwork(tx, port.networkId))
  const choice = port.fixedIps ? undefined : firstChoice(subnets, deviceOwner)
  const { made, first } = await makeRow(tx, port, securityGroups, { ...viewer, seesAll: true }, choice)
  const fixedIps = await takePortAddresses(tx, {
    portId: made.id,
    networkId: port.networkId,
    macAddress: made.macAddress,
    deviceOwner,
    fixedIps: port.fixedIps,
    subnets,
    first,
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

/** With its first address from that subnet, unless none is free at once. */
async function makeRow(
  tx: Tx,
  port: NewPort,
  groupIds: readonly string[],
  viewer: Viewer,
  subnet: SubnetFacts | undefined,
): Promise<{ made: Port; first: TakenAddress | undefined }> {
  const id = port.id ?? newUuid()
  const address = subnet
    ? takingWithPort(
        { subnetId: subnet.id, networkId: port.networkId, portId: id, position: 0 },
        subnet.pools,
      )
    : sql<{ address: string }>`select where false`
  const groups = sql`insert into network.port_security_group (port_id, security_group_id)
    select made.id, g.id from made, unnest(${groupIds}::uuid[]) g (id)`
  for (let attempt = 0; attempt < macAttemptsMax; attempt++) {
    const macAddress = port.macAddress || randomMac()
    const pairs = (port.allowedAddressPairs ?? []).map((p) => ({
      ...p,
      macAddress: p.macAddress ?? macAddress,
    }))
    const making: Making = {
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
        qos_policy_id: port.qosPolicyId ?? null,
        server_id: port.serverInterface?.serverId ?? null,
        server_interface_index: port.serverInterface?.index ?? null,
        server_interface_tag: port.serverInterface?.tag ?? null,
        is_made_by_compute: port.serverInterface !== undefined,
        allowed_address_pairs: JSON.stringify(pairs),
      },
      with: groupIds.length === 0 ? [] : [groups],
    }
    const row = await insertThingWith(tx, portNoun, viewer, making, address)
    if (row) {
      const { thing, beside } = row
      const first = subnet && beside ? { subnetId: subnet.id, ipAddress: beside.address } : undefined
      return { made: thing, first }
    }
    if (port.macAddress) throw macAddressInUse(port.networkId, port.macAddress)
  }
  throw networkNotFound(port.networkId)
}
