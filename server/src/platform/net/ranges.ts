// Sets of IP addresses, given as CIDRs.
import { BlockList, isIP } from "node:net"
import { Fault } from "../fault/fault.ts"

export interface Ranges {
  /** An IPv4 address may come as `::ffff:1.2.3.4` as well. False for what is no address. */
  has(address: string): boolean
}

/** `key` names the setting in the error. A single address stands for itself. */
export function readRanges(cidrs: readonly string[], key: string): Ranges {
  const list = new BlockList()
  for (const cidr of cidrs) {
    const [network = "", length] = cidr.split("/")
    const version = isIP(network)
    const most = version === 4 ? 32 : 128
    const bits = length === undefined ? most : Number(length)
    if (version === 0 || !/^\d*$/.test(length ?? "") || length === "" || bits > most) {
      const message = `Configuration ${key}: ${JSON.stringify(cidr)} is no CIDR; write 10.0.0.0/8 or fd00::/8.`
      throw new Fault("invalid", "config.invalid", message)
    }
    list.addSubnet(network, bits, version === 4 ? "ipv4" : "ipv6")
  }
  // Asked at each request, and a look costs some objects of the system's: most clouds name nobody.
  return { has: cidrs.length === 0 ? () => false : (address) => contains(list, address) }
}

function contains(list: BlockList, address: string): boolean {
  // fe80::1%eth0
  const bare = address.split("%")[0] ?? ""
  const version = isIP(bare)
  return version !== 0 && list.check(bare, version === 4 ? "ipv4" : "ipv6")
}

/** What is not everybody's: this machine, private networks, shared space, links, tests, groups, what is reserved. */
const specialV4 = readRanges(
  [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",
  ],
  "",
)
const globalV6 = readRanges(["2000::/3"], "")
/** Within it: protocols (Teredo among them), documentation, and 6to4, which carries an IPv4 address. */
const specialV6 = readRanges(["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"], "")

/**
 * Whether the address is of the public internet. An IPv4 address in another notation (`::ffff:…`, NAT64) is not: who
 * writes it that way wants around a check.
 */
export function isPublicAddress(address: string): boolean {
  const version = isIP(address)
  if (version === 4) return !specialV4.has(address)
  return version === 6 && globalV6.has(address) && !specialV6.has(address)
}
