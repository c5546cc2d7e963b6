import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { insertThing } from "../../platform/noun/list.ts"
import { ruledFields } from "../../platform/noun/noun.ts"
import { operation } from "../../platform/operation/operation.ts"
import { asksOf, enforceQuotaOfMade } from "../../quota/index.ts"
import {
  addressesBusy,
  addressInUse,
  addressNotInNetwork,
  badRequest,
  floatingIpTargetTaken,
  forbiddenProject,
  networkNotFound,
  noAddressLeft,
  noExternalAddressLeft,
  notReachable,
  portHasForwardings,
  portNotFound,
  subnetNotOfNetwork,
} from "../faults.ts"
import { loadNetwork } from "../network/read.ts"
import { insertPort } from "../port/insert.ts"
import { policyFaults, takeQosPolicy } from "../qos/use.ts"
import { networkQuota } from "../quota.ts"
import { notify } from "../resource/notify.ts"
import { attributeRules, change, ownerOf } from "../resource/standard.ts"
import { everything, viewerOf } from "../resource/viewer.ts"
import { noteChanged } from "../sync/changes.ts"
import { pointFloatingIp } from "./associate.ts"
import { type FloatingIp, type FloatingIpInput, floatingIpNoun, floatingIpTarget } from "./floating-ip.ts"
import { loadFloatingIp } from "./read.ts"

const ruled = ruledFields(floatingIpNoun.fields, "write")

export const createFloatingIps = operation({
  name: "network.floating_ip.create",
  input: Type.Object({ items: Type.Array(floatingIpNoun.create) }),
  faults: [
    networkNotFound,
    portNotFound,
    badRequest,
    addressInUse,
    addressNotInNetwork,
    addressesBusy,
    noAddressLeft,
    noExternalAddressLeft,
    notReachable,
    floatingIpTargetTaken,
    portHasForwardings,
    subnetNotOfNetwork,
    forbiddenProject,
    ...policyFaults,
  ],
  rules: ["create_floatingip"],
  authorize: (ctx, { items }) =>
    items.flatMap((input) => {
      const target = floatingIpTarget({ projectId: ownerOf(ctx, input.projectId) })
      return [
        ["create_floatingip", target] as const,
        ...attributeRules("create_floatingip", target, input, ruled),
      ]
    }),
  run: async (ctx, { items }) =>
    await change(ctx, async (tx) => {
      const made: FloatingIp[] = []
      for (const input of items) made.push(await insertFloatingIp(ctx, tx, input))
      await notify(ctx, tx, "floatingip", "create", made)
      const owners = items.map((input) => ownerOf(ctx, input.projectId))
      await enforceQuotaOfMade(ctx, tx, networkQuota, asksOf(owners, { floatingip: 1 }))
      return made
    }),
})

async function insertFloatingIp(ctx: Ctx, tx: Tx, input: FloatingIpInput): Promise<FloatingIp> {
  const network = await loadNetwork(tx, input.floatingNetworkId, viewerOf(ctx))
  if (!network.routerExternal)
    throw badRequest(`Bad floatingip request: Network ${network.id} is not a valid external network.`)
  if (input.fixedIpAddress && !input.portId)
    throw badRequest("Bad floatingip request: fixed_ip_address cannot be specified without a port_id.")
  const projectId = ownerOf(ctx, input.projectId)
  const id = newUuid()
  const asked = {
    ...(input.subnetId ? { subnetId: input.subnetId } : {}),
    ...(input.floatingIpAddress ? { ipAddress: input.floatingIpAddress } : {}),
  }
  const port = await insertPort(tx, {
    networkId: network.id,
    projectId: "",
    deviceId: id,
    deviceOwner: "network:floatingip",
    status: "N/A",
    portSecurityEnabled: false,
    ...(Object.keys(asked).length > 0 ? { fixedIps: [asked] } : {}),
  })
  noteChanged(tx, { floatingIps: [id] })
  const address = port.fixedIps.find((ip) => !ip.ipAddress.includes(":"))?.ipAddress
  if (!address) throw noExternalAddressLeft(network.id)
  const user = { noun: "floating IP", id } as const
  const qosPolicyId = await takeQosPolicy(ctx, tx, { wanted: input.qosPolicyId, user })
  const made = await insertThing(tx, floatingIpNoun, everything, {
    values: {
      id,
      project_id: projectId,
      description: input.description ?? "",
      floating_network_id: network.id,
      floating_port_id: port.id,
      address,
      dns_name: input.dnsName ?? "",
      dns_domain: input.dnsDomain ?? "",
      qos_policy_id: qosPolicyId,
      tags: [...new Set(input.tags ?? [])],
    },
  })
  if (!made) throw addressInUse(address, `network ${network.id}`)
  if (!input.portId) return made
  const fip = { id, projectId, floatingNetworkId: network.id, floatingIpAddress: address }
  await pointFloatingIp(
    tx,
    fip,
    { portId: input.portId, fixedIpAddress: input.fixedIpAddress ?? undefined },
    { viewer: viewerOf(ctx), isDistributed: ctx.config.network.enableDistributedFloatingIp },
  )
  return await loadFloatingIp(tx, id)
}
