// Which addresses a port gets: those asked for, else one of each IP version; on subnets where machines address
// themselves, the address that follows from the MAC address.
import type { Tx } from "../../platform/db/database.ts"
import {
  canonicalAddress,
  eui64Address,
  parseAddress,
  parsePrefix,
  prefixContains,
} from "../../platform/net/address.ts"
import {
  addressInUse,
  addressNotInNetwork,
  addressNotInSubnet,
  badRequest,
  noAddressLeft,
  subnetNotOfNetwork,
} from "../faults.ts"
import {
  type Allocation,
  isAutoAddressed,
  type SubnetFacts,
  subnetsOfNetwork,
  takeAddress,
  takeFreeAddress,
} from "./allocate.ts"

export interface FixedIpRequest {
  subnetId?: string | undefined
  ipAddress?: string | undefined
}

export interface PortAddressing {
  portId: string
  networkId: string
  macAddress: string
  deviceOwner: string
  /** Absent: as the network's subnets have it. Empty: none. */
  fixedIps?: readonly FixedIpRequest[] | undefined
  /** First place among the port's addresses; those before it stay. */
  position?: number
  /** The network's subnets, where they are known already. */
  subnets?: readonly SubnetFacts[]
  /** The first address, when the port was made with it. */
  first?: TakenAddress | undefined
}

const routerOwners = new Set([
  "network:router_interface",
  "network:router_gateway",
  "network:router_centralized_snat",
])

/** Subnets that say for which kind of device they are come first for it and never for others. */
function usableSubnets(subnets: readonly SubnetFacts[], deviceOwner: string): SubnetFacts[] {
  const matches = (s: SubnetFacts) => s.serviceTypes.some((type) => deviceOwner.startsWith(type))
  const meant = subnets.filter((s) => s.serviceTypes.length > 0 && matches(s))
  return meant.length > 0 ? meant : subnets.filter((s) => s.serviceTypes.length === 0)
}

export interface TakenAddress {
  subnetId: string
  ipAddress: string
}

/** Of each IP version those that any address may be taken from. */
function choices(subnets: readonly SubnetFacts[], deviceOwner: string): SubnetFacts[][] {
  const isRouter = routerOwners.has(deviceOwner)
  const usable = usableSubnets(subnets, deviceOwner)
  return [4, 6]
    .map((version) => usable.filter((s) => s.ipVersion === version && (isRouter || !isAutoAddressed(s))))
    .filter((ofVersion) => ofVersion.length > 0)
}

/** Where the first address of a port comes from that asks for none; undefined when it gets none of these. */
export function firstChoice(subnets: readonly SubnetFacts[], deviceOwner: string): SubnetFacts | undefined {
  return choices(subnets, deviceOwner)[0]?.[0]
}

/** Takes the port's addresses; returns them in order. */
export async function takePortAddresses(tx: Tx, p: PortAddressing): Promise<TakenAddress[]> {
  if (p.fixedIps?.length === 0) return []
  const subnets = p.subnets ?? (await subnetsOfNetwork(tx, p.networkId))
  const taken: TakenAddress[] = p.first ? [p.first] : []
  const next = (subnet: SubnetFacts): Allocation => ({
    subnetId: subnet.id,
    networkId: p.networkId,
    portId: p.portId,
    position: (p.position ?? 0) + taken.length,
  })
  const isRouter = routerOwners.has(p.deviceOwner)
  if (p.fixedIps) {
    for (const asked of p.fixedIps) taken.push(await takeAsked(tx, p, subnets, asked, next, isRouter))
  } else {
    for (const ofVersion of choices(subnets, p.deviceOwner).slice(taken.length))
      taken.push(await takeAny(tx, p.networkId, ofVersion, next))
  }
  if (!isRouter) {
    const usable = usableSubnets(subnets, p.deviceOwner)
    for (const subnet of usable.filter(isAutoAddressed)) {
      const address = autoAddress(subnet, p.macAddress)
      if (taken.some((t) => t.ipAddress === address)) continue
      taken.push(await takeNamed(tx, next(subnet), address))
    }
  }
  return taken
}

export function autoAddress(subnet: { cidr: string }, macAddress: string): string {
  const prefix = parsePrefix(subnet.cidr)
  if (!prefix) throw new Error(`subnet has cidr ${subnet.cidr}`)
  return eui64Address(prefix, macAddress)
}

async function takeAny(
  tx: Tx,
  networkId: string,
  subnets: readonly SubnetFacts[],
  next: (s: SubnetFacts) => Allocation,
): Promise<TakenAddress> {
  for (const subnet of subnets) {
    const ipAddress = await takeFreeAddress(tx, next(subnet), subnet.pools)
    if (ipAddress) return { subnetId: subnet.id, ipAddress }
  }
  throw noAddressLeft(networkId)
}

async function takeNamed(tx: Tx, allocation: Allocation, ipAddress: string): Promise<TakenAddress> {
  const { subnetId } = allocation
  if (!(await takeAddress(tx, allocation, ipAddress))) throw addressInUse(ipAddress, `subnet ${subnetId}`)
  return { subnetId, ipAddress }
}

async function takeAsked(
  tx: Tx,
  p: PortAddressing,
  subnets: readonly SubnetFacts[],
  asked: FixedIpRequest,
  next: (s: SubnetFacts) => Allocation,
  isRouter: boolean,
): Promise<TakenAddress> {
  const subnet = findSubnet(p.networkId, subnets, asked)
  const isAuto = isAutoAddressed(subnet) && !isRouter
  if (asked.ipAddress === undefined) {
    if (!isAuto) return await takeAny(tx, p.networkId, [subnet], next)
    return await takeNamed(tx, next(subnet), autoAddress(subnet, p.macAddress))
  }
  const address = canonicalAddress(asked.ipAddress) ?? asked.ipAddress
  if (isAuto && address !== autoAddress(subnet, p.macAddress)) {
    throw badRequest(
      `Invalid input for operation: IPv6 address ${address} can not be directly assigned to a port on subnet ${subnet.id} since the subnet is configured for automatic addresses.`,
    )
  }
  return await takeNamed(tx, next(subnet), address)
}

function findSubnet(networkId: string, subnets: readonly SubnetFacts[], asked: FixedIpRequest): SubnetFacts {
  const address = asked.ipAddress === undefined ? undefined : parseAddress(asked.ipAddress)
  if (asked.ipAddress !== undefined && !address) throw addressNotInNetwork(asked.ipAddress)
  if (asked.subnetId !== undefined) {
    const subnet = subnets.find((s) => s.id === asked.subnetId)
    if (!subnet) throw subnetNotOfNetwork(asked.subnetId, networkId)
    if (address && !isHostAddress(subnet, address))
      throw addressNotInSubnet(asked.ipAddress ?? "", `subnet ${subnet.id}`)
    return subnet
  }
  if (!address) throw badRequest("Invalid input for fixed_ips. Reason: subnet_id or ip_address is needed.")
  const subnet = subnets.find((s) => isHostAddress(s, address))
  if (!subnet) throw addressNotInNetwork(asked.ipAddress ?? "")
  return subnet
}

/** In the subnet, and neither its network nor (IPv4) its broadcast address. */
function isHostAddress(subnet: SubnetFacts, address: { version: 4 | 6; value: bigint }): boolean {
  const prefix = parsePrefix(subnet.cidr)
  if (!prefix || !prefixContains(prefix, address)) return false
  if (prefix.version === 6 || prefix.length >= 31) return true
  const size = 1n << BigInt(32 - prefix.length)
  return address.value !== prefix.first && address.value !== prefix.first + size - 1n
}
