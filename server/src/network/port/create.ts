import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { ruledFields } from "../../platform/noun/noun.ts"
import { type Authorization, operation } from "../../platform/operation/operation.ts"
import { asksOf, enforceQuotaOfMade } from "../../quota/index.ts"
import {
  addressesBusy,
  addressInUse,
  addressNotInNetwork,
  addressNotInSubnet,
  badRequest,
  deviceReserved,
  forbiddenProject,
  groupsNeedPortSecurity,
  macAddressInUse,
  mixedStatefulness,
  networkNotFound,
  noAddressLeft,
  pairsNeedPortSecurity,
  securityGroupNotFound,
  subnetNotOfNetwork,
  tooManyAddressPairs,
} from "../faults.ts"
import type { Network } from "../network/network.ts"
import { loadNetwork } from "../network/read.ts"
import { policyFaults, takeQosPolicy } from "../qos/use.ts"
import { networkQuota } from "../quota.ts"
import { notify } from "../resource/notify.ts"
import { attributeRules, change, ownerOf } from "../resource/standard.ts"
import { viewerOf } from "../resource/viewer.ts"
import { checkedGroups } from "../security-group/resolve.ts"
import { checkDevice, checkPortPlan } from "./check.ts"
import { insertPort } from "./insert.ts"
import { type Port, type PortInput, portNoun, portTarget } from "./port.ts"

const ruled = ruledFields(portNoun.fields, "write")

export const createPorts = operation({
  name: "network.port.create",
  input: Type.Object({ items: Type.Array(portNoun.create) }),
  faults: [
    networkNotFound,
    badRequest,
    addressInUse,
    addressNotInNetwork,
    addressNotInSubnet,
    addressesBusy,
    noAddressLeft,
    macAddressInUse,
    subnetNotOfNetwork,
    securityGroupNotFound,
    pairsNeedPortSecurity,
    tooManyAddressPairs,
    groupsNeedPortSecurity,
    deviceReserved,
    mixedStatefulness,
    forbiddenProject,
    ...policyFaults,
  ],
  load: async (ctx, { items }) => {
    const networks: Network[] = []
    for (const input of items) {
      const network = await loadNetwork(ctx.db, input.networkId, viewerOf(ctx))
      const mayUse =
        viewerOf(ctx).seesAll || network.shared || network.projectId === ownerOf(ctx, input.projectId)
      if (!mayUse) throw networkNotFound(input.networkId)
      networks.push(network)
    }
    return networks
  },
  rules: ["create_port"],
  authorize: (ctx, { items }, networks) =>
    items.flatMap((input, i) => {
      const network = networks[i]
      return network ? createRules(ctx, input, network) : []
    }),
  run: async (ctx, { items }, networks) =>
    await change(ctx, async (tx) => {
      const made: Port[] = []
      for (const [i, input] of items.entries()) {
        const network = networks[i]
        if (!network) continue
        const projectId = ownerOf(ctx, input.projectId)
        checkDevice(input, { deviceId: "", deviceOwner: "" })
        const plan = checkPortPlan(ctx, { ...input, projectId }, network)
        const { securityGroups, extraDhcpOpts, ...rest } = input
        const groups = await checkedGroups(tx, projectId, securityGroups, plan, viewerOf(ctx).seesAll)
        const options = (extraDhcpOpts ?? []).flatMap((o) =>
          o.value === null ? [] : [{ name: o.name, value: o.value, ipVersion: o.ipVersion ?? 4 }],
        )
        const id = newUuid()
        const qosPolicyId = await takeQosPolicy(ctx, tx, {
          wanted: input.qosPolicyId,
          user: { noun: "port", id },
        })
        const given = {
          ...rest,
          id,
          qosPolicyId: qosPolicyId ?? null,
          projectId,
          hostId: input.bindingHostId ?? "",
          vnicType: input.bindingVnicType ?? "normal",
          macAddress: plan.macAddress,
          portSecurityEnabled: plan.portSecurityEnabled,
          securityGroups: groups,
          extraDhcpOpts: options,
          allowedAddressPairs: plan.allowedAddressPairs,
        }
        made.push(await insertPort(tx, given, viewerOf(ctx)))
      }
      await notify(ctx, tx, "port", "create", made)
      const owners = items.map((input) => ownerOf(ctx, input.projectId))
      await enforceQuotaOfMade(ctx, tx, networkQuota, asksOf(owners, { port: 1 }))
      return made
    }),
})

function createRules(ctx: Ctx, input: PortInput, network: Network): Authorization[] {
  const target = portTarget({
    projectId: ownerOf(ctx, input.projectId),
    networkProjectId: network.projectId,
    shared: network.shared,
    deviceOwner: input.deviceOwner ?? "",
  })
  const given: Record<string, unknown> = { ...input }
  // What says the default needs no right.
  if (input.portSecurityEnabled === network.portSecurityEnabled) delete given.portSecurityEnabled
  if (input.deviceOwner === "") delete given.deviceOwner
  if (input.bindingHostId === "") delete given.bindingHostId
  if (input.bindingVnicType === "normal") delete given.bindingVnicType
  if (Object.keys(input.bindingProfile ?? {}).length === 0) delete given.bindingProfile
  return [
    ["create_port", target],
    ...attributeRules("create_port", target, given, ruled),
    ...fixedIpRules("create_port", target, input.fixedIps),
  ]
}

export function fixedIpRules(
  action: string,
  target: Authorization[1],
  fixedIps: readonly { ipAddress?: string | undefined; subnetId?: string | undefined }[] | undefined,
): Authorization[] {
  const rules: Authorization[] = []
  if (fixedIps?.some((ip) => ip.ipAddress !== undefined))
    rules.push([`${action}:fixed_ips:ip_address`, target])
  if (fixedIps?.some((ip) => ip.subnetId !== undefined)) rules.push([`${action}:fixed_ips:subnet_id`, target])
  return rules
}
