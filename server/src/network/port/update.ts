import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { type Tx, violatedConstraint } from "../../platform/db/database.ts"
import { canonicalAddress } from "../../platform/net/address.ts"
import { ruledFields } from "../../platform/noun/noun.ts"
import { operation } from "../../platform/operation/operation.ts"
import {
  badRequest,
  deviceReserved,
  groupsNeedPortSecurity,
  macAddressInUse,
  mixedStatefulness,
  pairsNeedPortSecurity,
  portBound,
  portHasSecurityGroup,
  portNotFound,
  revisionMismatch,
  securityGroupNotFound,
  subnetNotOfNetwork,
} from "../faults.ts"
import { releaseFloatingIpsOf } from "../floating-ip/release.ts"
import { releaseAddresses } from "../ipam/allocate.ts"
import { takePortAddresses } from "../ipam/choose.ts"
import { policyFaults, takeQosPolicy } from "../qos/use.ts"
import { notify } from "../resource/notify.ts"
import { attributeRules, change, lockRow, RevisionInput, updateRow } from "../resource/standard.ts"
import { viewerOf } from "../resource/viewer.ts"
import { checkedGroups } from "../security-group/resolve.ts"
import { checkDevice, checkPortPlan } from "./check.ts"
import { fixedIpRules } from "./create.ts"
import { linkSecurityGroups, randomMac } from "./insert.ts"
import { type DhcpOption, type Port, type PortChanges, portNoun, portTarget } from "./port.ts"
import { loadPort } from "./read.ts"

const ruled = ruledFields(portNoun.fields, "write")

export const updatePort = operation({
  name: "network.port.update",
  input: Type.Object({ id: Type.String(), expectedRevision: RevisionInput, changes: portNoun.changes }),
  faults: [
    portNotFound,
    badRequest,
    portBound,
    macAddressInUse,
    portHasSecurityGroup,
    pairsNeedPortSecurity,
    groupsNeedPortSecurity,
    deviceReserved,
    mixedStatefulness,
    revisionMismatch,
    subnetNotOfNetwork,
    securityGroupNotFound,
    ...policyFaults,
  ],
  load: (ctx, { id }) => loadPort(ctx.db, id, viewerOf(ctx)),
  rules: ["update_port"],
  authorize: (_ctx, { changes }, port) => {
    const target = portTarget({ ...port, deviceOwner: changes.deviceOwner ?? port.deviceOwner })
    return [
      ["update_port", target],
      ...attributeRules("update_port", target, changes, ruled),
      ...fixedIpRules("update_port", target, changes.fixedIps),
    ]
  },
  run: async (ctx, { id: portId, expectedRevision, changes }) =>
    await change(ctx, async (tx) => {
      await lockRow(tx, "port", portId, portNotFound, expectedRevision)
      await applyPortChanges(ctx, tx, portId, changes)
      const changed = await loadPort(tx, portId, { ...viewerOf(ctx), seesAll: true })
      await notify(ctx, tx, "port", "update", [changed])
      return changed
    }),
})

/** The port's row is locked by the caller. */
export async function applyPortChanges(
  ctx: Ctx,
  tx: Tx,
  portId: string,
  changes: PortChanges,
): Promise<void> {
  const port = await loadPort(tx, portId)
  const portSecurityEnabled = changes.portSecurityEnabled ?? port.portSecurityEnabled
  const plan = checkPortPlan(
    ctx,
    {
      ...changes,
      projectId: port.projectId,
      portSecurityEnabled,
      deviceOwner: changes.deviceOwner ?? port.deviceOwner,
    },
    port,
  )
  checkDevice(changes, port)
  checkSecurity(port, changes, portSecurityEnabled)
  const mac = plan.macAddress === "" ? randomMac() : plan.macAddress
  if (mac !== undefined && mac !== port.macAddress) {
    const isBound = port.serverId !== null || (port.bindingHostId !== "" && port.deviceOwner !== "")
    if (isBound) throw portBound(portId, port.deviceOwner, port.macAddress, mac)
  }
  if (changes.securityGroups !== undefined) {
    const groups = await checkedGroups(
      tx,
      port.projectId,
      changes.securityGroups,
      plan,
      viewerOf(ctx).seesAll,
    )
    await sql`delete from network.port_security_group where port_id = ${portId}`.execute(tx)
    await linkSecurityGroups(tx, portId, groups)
  }
  const qosPolicyId = await takeQosPolicy(ctx, tx, {
    wanted: changes.qosPolicyId,
    current: port.qosPolicyId,
    user: { noun: "port", id: portId },
  })
  const macAddress = mac ?? port.macAddress
  try {
    await updateRow(tx, "port", portId, {
      ...plainColumns(changes),
      mac_address: mac,
      qos_policy_id: qosPolicyId,
      allowed_address_pairs:
        changes.allowedAddressPairs &&
        JSON.stringify(
          plan.allowedAddressPairs.map((p) => ({ ...p, macAddress: p.macAddress ?? macAddress })),
        ),
      extra_dhcp_options: changes.extraDhcpOpts && JSON.stringify(mergedOptions(port, changes.extraDhcpOpts)),
      // A port that left its host is down until a host says otherwise.
      status: changes.bindingHostId === "" && port.bindingHostId !== "" ? "DOWN" : undefined,
    })
  } catch (error) {
    if (violatedConstraint(error) === "port_mac_address") throw macAddressInUse(port.networkId, macAddress)
    throw error
  }
  if (changes.fixedIps !== undefined) await replaceAddresses(tx, port, changes.fixedIps, macAddress)
}

function plainColumns(changes: PortChanges): Record<string, unknown> {
  return {
    name: changes.name,
    description: changes.description,
    is_admin_up: changes.adminStateUp,
    device_id: changes.deviceId,
    device_owner: changes.deviceOwner,
    is_port_security_enabled: changes.portSecurityEnabled,
    host_id: changes.bindingHostId,
    vnic_type: changes.bindingVnicType,
    binding_profile: changes.bindingProfile && JSON.stringify(changes.bindingProfile),
    dns_name: changes.dnsName,
    dns_domain: changes.dnsDomain,
  }
}

function checkSecurity(port: Port, changes: PortChanges, portSecurityEnabled: boolean): void {
  const groups = changes.securityGroups ?? port.securityGroups
  const pairs = changes.allowedAddressPairs ?? port.allowedAddressPairs
  if (portSecurityEnabled) return
  if (groups.length > 0) throw portHasSecurityGroup()
  if (pairs.length > 0) throw pairsNeedPortSecurity()
}

/** Options by name and IP version: a value replaces, null removes, the rest stays. */
function mergedOptions(
  port: Port,
  changes: readonly { name: string; value: string | null; ipVersion?: 4 | 6 | undefined }[],
): DhcpOption[] {
  const options = new Map(port.extraDhcpOpts.map((o) => [`${o.name} ${o.ipVersion}`, o]))
  for (const { name, value, ipVersion = 4 } of changes) {
    if (value === null) options.delete(`${name} ${ipVersion}`)
    else options.set(`${name} ${ipVersion}`, { name, value, ipVersion })
  }
  return [...options.values()]
}

/** Addresses that stay are kept (and keep their floating IPs); others go first, so that theirs may be asked again. */
async function replaceAddresses(
  tx: Tx,
  port: Port,
  wanted: readonly { subnetId?: string | undefined; ipAddress?: string | undefined }[],
  macAddress: string,
): Promise<void> {
  const kept = new Set<string>()
  const fresh = wanted.filter((ask) => {
    const address = ask.ipAddress === undefined ? undefined : canonicalAddress(ask.ipAddress)
    const have = port.fixedIps.find(
      (ip) =>
        !kept.has(ip.ipAddress) &&
        (address === undefined || ip.ipAddress === address) &&
        (ask.subnetId === undefined || ip.subnetId === ask.subnetId),
    )
    if (have) kept.add(have.ipAddress)
    return have === undefined
  })
  const gone = port.fixedIps.map((ip) => ip.ipAddress).filter((address) => !kept.has(address))
  await releaseFloatingIpsOf(tx, port.id, gone)
  await releaseAddresses(tx, port.id, gone)
  if (fresh.length > 0) {
    await takePortAddresses(tx, {
      portId: port.id,
      networkId: port.networkId,
      macAddress,
      deviceOwner: port.deviceOwner,
      fixedIps: fresh,
      position: kept.size,
    })
  }
  if (port.deviceOwner === "network:router_interface") await followInterface(tx, port)
}

/** What a router is attached to follows the addresses of its port. */
async function followInterface(tx: Tx, port: Port): Promise<void> {
  await sql`delete from network.router_interface i where i.port_id = ${port.id}
    and not exists (select from network.ip_allocation a where a.port_id = i.port_id and a.subnet_id = i.subnet_id)`.execute(
    tx,
  )
  await sql`insert into network.router_interface (router_id, subnet_id, port_id)
    select distinct ${port.deviceId}::uuid, a.subnet_id, a.port_id
    from network.ip_allocation a where a.port_id = ${port.id}
    on conflict do nothing`.execute(tx)
}
