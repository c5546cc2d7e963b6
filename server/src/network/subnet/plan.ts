// What a subnet's addresses are to be: checks what was asked and fills what was left out. Pure.

import {
  type Address,
  formatAddress,
  formatPrefix,
  hostRange,
  lastOf,
  type Prefix,
  parseAddress,
  parsePrefix,
  prefixContains,
} from "../../platform/net/address.ts"
import { badAllocationPool, badRequest, gatewayInPool, poolOutOfBounds, poolsOverlap } from "../faults.ts"
import type { AddressPool, Ipv6Mode } from "./subnet.ts"

export interface SubnetAddresses {
  ipVersion: 4 | 6
  cidr: string
  gatewayIp: string | null
  pools: AddressPool[]
}

export interface AddressesRequest {
  ipVersion: number
  cidr: string
  /** Absent: the first address. Null: none. */
  gatewayIp?: string | null | undefined
  allocationPools?: AddressPool[] | undefined
  enableDhcp: boolean
  ipv6RaMode?: Ipv6Mode | null | undefined
  ipv6AddressMode?: Ipv6Mode | null | undefined
}

const bad = (why: string) => badRequest(`Invalid input for operation: ${why}.`)

export function planSubnetAddresses(request: AddressesRequest): SubnetAddresses {
  const prefix = parsePrefix(request.cidr)
  if (!prefix) throw bad(`'${request.cidr}' is not a valid IP subnet`)
  if (prefix.version !== request.ipVersion)
    throw bad(`'cidr' ${request.cidr} does not match the ip_version '${request.ipVersion}'`)
  checkPrefix(prefix, request)
  checkModes(prefix, request)
  const gatewayIp = planGateway(prefix, request.gatewayIp)
  const pools =
    request.allocationPools === undefined
      ? defaultPools(prefix, gatewayIp)
      : checkPools(prefix, request.allocationPools)
  checkGatewayOutsidePools(gatewayIp, pools)
  return { ipVersion: prefix.version, cidr: formatPrefix(prefix), gatewayIp, pools }
}

function checkPrefix(prefix: Prefix, request: AddressesRequest): void {
  const first = prefix.first
  if (prefix.version === 4) {
    const octet = Number(first >> 24n)
    if (octet === 0 || octet === 127 || octet >= 224)
      throw bad(`Invalid CIDR ${request.cidr}: this range cannot be used by machines`)
  } else if (first >> 120n === 0xffn || first >> 118n === 0x3fan) {
    throw bad(`Invalid CIDR ${request.cidr}: a multicast or link-local range cannot be a subnet`)
  }
  if (request.enableDhcp && prefix.length > (prefix.version === 4 ? 30 : 126))
    throw bad("Subnet has a prefix length that is incompatible with DHCP service enabled")
}

function checkModes(prefix: Prefix, request: AddressesRequest): void {
  const { ipv6RaMode: ra, ipv6AddressMode: address } = request
  if (!ra && !address) return
  if (prefix.version === 4) {
    const which = ra ? "ipv6_ra_mode" : "ipv6_address_mode"
    throw bad(`${which} is not valid when ip_version is 4`)
  }
  if (!request.enableDhcp)
    throw bad("ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False")
  if (ra && address && ra !== address) {
    throw bad(
      `ipv6_ra_mode set to '${ra}' with ipv6_address_mode set to '${address}' is not valid. If both attributes are set, they must be the same value`,
    )
  }
  if ((address ?? ra) !== "dhcpv6-stateful" && prefix.length !== 64) {
    throw bad(
      `Invalid CIDR ${request.cidr} for IPv6 address mode. OpenStack uses the EUI-64 address format, which requires the prefix to be /64`,
    )
  }
}

function planGateway(prefix: Prefix, wanted: string | null | undefined): string | null {
  if (wanted === null) return null
  if (wanted === undefined) return formatAddress({ version: prefix.version, value: hostRange(prefix).first })
  return checkGateway(prefix, wanted)
}

export function checkGateway(prefix: Prefix, wanted: string): string {
  const gateway = parseAddress(wanted)
  if (!gateway) throw bad(`'${wanted}' is not a valid IP address`)
  if (gateway.version !== prefix.version)
    throw bad(`gateway_ip '${wanted}' does not match the ip_version '${prefix.version}'`)
  const { first, last } = hostRange(prefix)
  // A gateway beyond the subnet is allowed; the network's own address as gateway is not.
  if (prefixContains(prefix, gateway) && (gateway.value < first || gateway.value > last))
    throw bad("Gateway is not valid on subnet")
  return formatAddress(gateway)
}

/** Everything but the gateway. */
export function defaultPools(prefix: Prefix, gatewayIp: string | null): AddressPool[] {
  const { first, last } = hostRange(prefix)
  const gateway = gatewayIp === null ? undefined : parseAddress(gatewayIp)
  const ranges: [bigint, bigint][] =
    gateway && gateway.value >= first && gateway.value <= last
      ? [
          [first, gateway.value - 1n],
          [gateway.value + 1n, last],
        ]
      : [[first, last]]
  const text = (value: bigint) => formatAddress({ version: prefix.version, value })
  return ranges.filter(([a, b]) => a <= b).map(([a, b]) => ({ start: text(a), end: text(b) }))
}

export function checkPools(prefix: Prefix, pools: readonly AddressPool[]): AddressPool[] {
  const { first, last } = hostRange(prefix)
  const cidr = formatPrefix(prefix)
  const ranges = pools.map((pool) => {
    const name = `${pool.start}-${pool.end}`
    const start = parseAddress(pool.start)
    const end = parseAddress(pool.end)
    if (
      !start ||
      !end ||
      start.version !== prefix.version ||
      end.version !== prefix.version ||
      end.value < start.value
    )
      throw badAllocationPool(name)
    if (start.value < first || end.value > (prefix.version === 6 ? lastOf(prefix) : last))
      throw poolOutOfBounds(name, cidr)
    return { start, end, name }
  })
  ranges.sort((a, b) => (a.start.value < b.start.value ? -1 : 1))
  ranges.forEach((range, i) => {
    const before = ranges[i - 1]
    if (before && range.start.value <= before.end.value) throw poolsOverlap(before.name, range.name, cidr)
  })
  return ranges.map(({ start, end }) => ({ start: formatAddress(start), end: formatAddress(end) }))
}

export function checkGatewayOutsidePools(gatewayIp: string | null, pools: readonly AddressPool[]): void {
  const gateway = gatewayIp === null ? undefined : parseAddress(gatewayIp)
  if (!gateway) return
  for (const pool of pools) {
    if (isBetween(gateway, pool)) throw gatewayInPool(formatAddress(gateway), `${pool.start}-${pool.end}`)
  }
}

function isBetween(address: Address, pool: AddressPool): boolean {
  const start = parseAddress(pool.start)
  const end = parseAddress(pool.end)
  return (
    start !== undefined && end !== undefined && address.value >= start.value && address.value <= end.value
  )
}

export interface ServiceLimits {
  nameserversMax: number
  hostRoutesMax: number
}
