// Neutron's `extra_dhcp_opts` carry dnsmasq's option names or numbers; here they become OVN's. What OVN cannot send
// is left out: the port still gets its address.
import { isIP } from "node:net"
import type { WantPort } from "../network-driver.ts"

type Form = "address" | "addresses" | "routes" | "text" | "number" | "flag"

const knownV4: Record<string, { name: string; form: Form; code: number }> = {
  netmask: { name: "netmask", form: "address", code: 1 },
  router: { name: "router", form: "address", code: 3 },
  "dns-server": { name: "dns_server", form: "addresses", code: 6 },
  "log-server": { name: "log_server", form: "addresses", code: 7 },
  "lpr-server": { name: "lpr_server", form: "addresses", code: 9 },
  hostname: { name: "hostname", form: "text", code: 12 },
  "domain-name": { name: "domain_name", form: "text", code: 15 },
  "swap-server": { name: "swap_server", form: "address", code: 16 },
  "ip-forward-enable": { name: "ip_forward_enable", form: "flag", code: 19 },
  "policy-filter": { name: "policy_filter", form: "routes", code: 21 },
  "default-ttl": { name: "default_ttl", form: "number", code: 23 },
  mtu: { name: "mtu", form: "number", code: 26 },
  "router-discovery": { name: "router_discovery", form: "flag", code: 31 },
  "router-solicitation": { name: "router_solicitation", form: "address", code: 32 },
  "static-route": { name: "classless_static_route", form: "routes", code: 33 },
  "arp-timeout": { name: "arp_cache_timeout", form: "number", code: 35 },
  "ethernet-encap": { name: "ethernet_encap", form: "flag", code: 36 },
  "tcp-ttl": { name: "tcp_ttl", form: "number", code: 37 },
  "tcp-keepalive": { name: "tcp_keepalive_interval", form: "number", code: 38 },
  "nis-server": { name: "nis_server", form: "addresses", code: 41 },
  "ntp-server": { name: "ntp_server", form: "addresses", code: 42 },
  "netbios-ns": { name: "netbios_name_server", form: "addresses", code: 44 },
  "netbios-nodetype": { name: "netbios_node_type", form: "number", code: 46 },
  "lease-time": { name: "lease_time", form: "number", code: 51 },
  T1: { name: "T1", form: "number", code: 58 },
  T2: { name: "T2", form: "number", code: 59 },
  "tftp-server": { name: "tftp_server", form: "text", code: 66 },
  "bootfile-name": { name: "bootfile_name", form: "text", code: 67 },
  "domain-search": { name: "domain_search_list", form: "text", code: 119 },
  "classless-static-route": { name: "classless_static_route", form: "routes", code: 121 },
  "server-ip-address": { name: "tftp_server_address", form: "addresses", code: 150 },
  "path-prefix": { name: "path_prefix", form: "text", code: 210 },
  "ms-classless-static-route": { name: "ms_classless_static_route", form: "routes", code: 249 },
  wpad: { name: "wpad", form: "text", code: 252 },
}

const aliases: Record<string, string> = {
  "domain-name-servers": "dns-server",
  "host-name": "hostname",
  "interface-mtu": "mtu",
  "tftp-server-address": "server-ip-address",
  "tftp-server-name": "tftp-server",
  "ntp-servers": "ntp-server",
}

const knownV6: Record<string, { name: string; form: Form }> = {
  "dns-server": { name: "dns_server", form: "addresses" },
  "23": { name: "dns_server", form: "addresses" },
  "domain-search": { name: "domain_search", form: "text" },
  "24": { name: "domain_search", form: "text" },
}

const byCode = new Map(Object.values(knownV4).map((option) => [String(option.code), option]))

export function extraOptions(port: WantPort, ipVersion: 4 | 6): Record<string, string> {
  const options: Record<string, string> = {}
  for (const extra of port.extraDhcpOptions) {
    if (extra.ipVersion !== ipVersion) continue
    const name = plainName(extra.name)
    const known = ipVersion === 4 ? (knownV4[name] ?? byCode.get(name)) : knownV6[name]
    const value = known && written(known.form, extra.value.trim())
    if (known && value !== undefined) options[known.name] = value
  }
  return options
}

export function isDhcpDisabled(port: WantPort, ipVersion: 4 | 6): boolean {
  return port.extraDhcpOptions.some(
    ({ name, value, ipVersion: version }) =>
      version === ipVersion && name === "dhcp_disabled" && value.toLowerCase() === "true",
  )
}

function plainName(name: string): string {
  const bare = name.replace(/^option6?:/, "")
  return aliases[bare] ?? bare
}

/**
 * The value in the grammar of OVN's actions. Undefined for what does not fit: ovn-controller refuses a whole flow for
 * one bad value, and the port would get no lease at all (measured with an unquoted host name).
 */
function written(form: Form, value: string): string | undefined {
  const items = value
    .replaceAll(/[{}]/g, "")
    .split(/[\s,]+/)
    .filter((item) => item !== "")
  if (form === "text") return quoted(value)
  if (form === "flag") return /^(1|true)$/i.test(value) ? "1" : "0"
  if (form === "number") return /^\d{1,10}$/.test(value) ? value : undefined
  if (form === "address") return isIP(value) > 0 ? value : undefined
  if (form === "addresses") return items.every((item) => isIP(item) > 0) ? `{${items.join(", ")}}` : undefined
  const pairs: string[] = []
  for (let i = 0; i < items.length; i += 2) {
    const [network = "", nexthop = ""] = [items[i], items[i + 1]]
    if (isIP(network.split("/")[0] ?? "") === 0 || isIP(nexthop) === 0) return undefined
    pairs.push(`${network},${nexthop}`)
  }
  return `{${pairs.join(", ")}}`
}

/** A text value of an OVN action. */
export function quoted(text: string): string {
  return `"${text.replaceAll(/[^\x20-\x7e]|["\\]/g, "")}"`
}
