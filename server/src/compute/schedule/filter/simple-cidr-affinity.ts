import { BlockList, isIP } from "node:net"
import type { ScheduleRequest } from "../request.ts"
import type { Filter } from "./filter.ts"

/** Hints `build_near_host_ip` and `cidr` (default /24): a host whose address is in that network. */
export const simpleCidrAffinityFilter: Filter = {
  name: "SimpleCIDRAffinityFilter",
  needs: ["description"],
  isAsked: ({ hints }) => typeof hints.build_near_host_ip === "string",
  refuse: (host, request) => {
    const { text, network } = networkOf(request)
    const address = host.description?.hostIp ?? ""
    const family = isIP(address) === 6 ? "ipv6" : "ipv4"
    if (network !== null && isIP(address) !== 0 && network.check(address, family)) return null
    const forUser = network === null ? `${text} is no network` : `it is not in ${text}`
    return {
      why: network === null ? forUser : `its address ${address} is not in ${text}`,
      fix: "leave the hint build_near_host_ip out, or ask for a wider cidr",
      forUser,
    }
  },
}

function networkOf({ hints }: ScheduleRequest): { text: string; network: BlockList | null } {
  const address = String(hints.build_near_host_ip)
  const cidr = typeof hints.cidr === "string" ? hints.cidr : "/24"
  const text = `${address}${cidr.startsWith("/") ? "" : "/"}${cidr}`
  const family = isIP(address)
  const bits = Number(cidr.replace(/^\//, ""))
  if (family === 0 || !Number.isInteger(bits) || bits < 0 || bits > (family === 6 ? 128 : 32))
    return { text, network: null }
  const network = new BlockList()
  network.addSubnet(address, bits, family === 6 ? "ipv6" : "ipv4")
  return { text, network }
}
