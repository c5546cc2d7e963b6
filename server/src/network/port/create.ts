import { type Static, Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { type Authorization, operation } from "../../platform/operation/operation.ts"
import {
  addressesBusy,
  addressInUse,
  addressNotInNetwork,
  addressNotInSubnet,
  badRequest,
  deviceReserved,
  groupsNeedPortSecurity,
  macAddressInUse,
  networkNotFound,
  noAddressLeft,
  pairsNeedPortSecurity,
  securityGroupNotFound,
  subnetNotOfNetwork,
  tooManyAddressPairs,
} from "../faults.ts"
import type { Network } from "../network/network.ts"
import { loadNetwork } from "../network/read.ts"
import { enforceNetworkQuotaOfMade } from "../quota.ts"
import { notify } from "../resource/notify.ts"
import { attributeRules, change, ownerOf, ProjectInput, TagsInput } from "../resource/standard.ts"
import { viewerOf } from "../resource/viewer.ts"
import { checkedGroups } from "../security-group/resolve.ts"
import { checkDevice, checkPortPlan } from "./check.ts"
import { insertPort } from "./insert.ts"
import { type Port, portAttributes, portTarget } from "./port.ts"

export const FixedIpInput = Type.Object({
  subnetId: Type.Optional(Type.String()),
  ipAddress: Type.Optional(Type.String()),
})
export const DhcpOptionInput = Type.Object({
  name: Type.String(),
  /** Null takes the option away. */
  value: Type.Union([Type.String(), Type.Null()]),
  ipVersion: Type.Optional(Type.Union([Type.Literal(4), Type.Literal(6)])),
})

export const PortInput = Type.Object({
  projectId: ProjectInput,
  networkId: Type.String(),
  name: Type.Optional(Type.String({ maxLength: 255 })),
  description: Type.Optional(Type.String({ maxLength: 255 })),
  adminStateUp: Type.Optional(Type.Boolean()),
  macAddress: Type.Optional(Type.String()),
  fixedIps: Type.Optional(Type.Array(FixedIpInput)),
  deviceId: Type.Optional(Type.String({ maxLength: 255 })),
  deviceOwner: Type.Optional(Type.String({ maxLength: 255 })),
  securityGroups: Type.Optional(Type.Array(Type.String())),
  portSecurityEnabled: Type.Optional(Type.Boolean()),
  allowedAddressPairs: Type.Optional(
    Type.Array(Type.Object({ ipAddress: Type.String(), macAddress: Type.Optional(Type.String()) })),
  ),
  extraDhcpOpts: Type.Optional(Type.Array(DhcpOptionInput)),
  bindingHostId: Type.Optional(Type.String({ maxLength: 255 })),
  bindingVnicType: Type.Optional(Type.String()),
  bindingProfile: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  dnsName: Type.Optional(Type.String({ maxLength: 255 })),
  dnsDomain: Type.Optional(Type.String({ maxLength: 255 })),
  propagateUplinkStatus: Type.Optional(Type.Boolean()),
  tags: TagsInput,
})
export type PortInput = Static<typeof PortInput>

export const createPorts = operation({
  name: "network.port.create",
  input: Type.Object({ ports: Type.Array(PortInput) }),
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
  ],
  load: async (ctx, { ports }) => {
    const networks: Network[] = []
    for (const input of ports) {
      const network = await loadNetwork(ctx.db, input.networkId, viewerOf(ctx))
      const mayUse =
        viewerOf(ctx).seesAll || network.shared || network.projectId === ownerOf(ctx, input.projectId)
      if (!mayUse) throw networkNotFound(input.networkId)
      networks.push(network)
    }
    return networks
  },
  rules: ["create_port"],
  authorize: (ctx, { ports }, networks) =>
    ports.flatMap((input, i) => {
      const network = networks[i]
      return network ? createRules(ctx, input, network) : []
    }),
  run: async (ctx, { ports }, networks) =>
    await change(ctx, async (tx) => {
      const made: Port[] = []
      for (const [i, input] of ports.entries()) {
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
        const given = {
          ...rest,
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
      await enforceNetworkQuotaOfMade(
        tx,
        "port",
        ports.map((input) => ownerOf(ctx, input.projectId)),
      )
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
    ...attributeRules("create_port", target, given, portAttributes.write),
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
