import assert from "node:assert/strict"
import { test } from "node:test"
import type { NetworkWant, WantPort, WantSecurityGroupRule } from "../network-driver.ts"
import { ports, sampleWant } from "../testing/sample-want.ts"
import { told } from "../want.ts"
import type { DesiredRow, TableName } from "./row.ts"
import { ruleMatch } from "./security-group.ts"
import { translate } from "./translate.ts"

const gateways = [{ chassis: "h1", priority: 1 }]

function rows(change: (want: NetworkWant) => void = () => {}): DesiredRow[] {
  const want = structuredClone(sampleWant)
  change(want)
  const all = told((noun) => want[noun].map((thing) => thing.id))
  return translate({ want, told: all }, { cloudId: "00c0ffee", gateways })
}

function row(all: readonly DesiredRow[], table: TableName, id: string): DesiredRow {
  const found = all.find((each) => each.table === table && each.id === id)
  assert.ok(found, `${table} ${id}`)
  return found
}

function portOf(want: NetworkWant, id: string): WantPort {
  const port = want.ports.find((each) => each.id === id)
  assert.ok(port)
  return port
}

/** A map column's entries; empty when there is none. */
function textsOf(value: unknown): Record<string, string> {
  return (value ?? {}) as Record<string, string> // of a map column of strings
}

const base: WantSecurityGroupRule = {
  id: "r",
  direction: "ingress",
  ethertype: "IPv4",
  protocol: null,
  portRangeMin: null,
  portRangeMax: null,
  remoteIpPrefix: null,
  remoteGroupId: null,
}

const matches: [Partial<WantSecurityGroupRule>, string | undefined][] = [
  [{}, "outport == @pg && ip4"],
  [{ direction: "egress", ethertype: "IPv6" }, "inport == @pg && ip6"],
  [
    { protocol: "tcp", portRangeMin: 22, portRangeMax: 22 },
    "outport == @pg && ip4 && tcp && (tcp.dst == 22 || ip.later_frag)",
  ],
  [
    { protocol: "17", portRangeMin: 1, portRangeMax: 9 },
    "outport == @pg && ip4 && udp && ((udp.dst >= 1 && udp.dst <= 9) || ip.later_frag)",
  ],
  [{ protocol: "sctp" }, "outport == @pg && ip4 && sctp"],
  [
    { protocol: "icmp", portRangeMin: 8, portRangeMax: 0 },
    "outport == @pg && ip4 && icmp4 && ((icmp4.type == 8 && icmp4.code == 0) || ip.later_frag)",
  ],
  [
    { protocol: "icmp", ethertype: "IPv6", portRangeMin: 128 },
    "outport == @pg && ip6 && icmp6 && (icmp6.type == 128 || ip.later_frag)",
  ],
  [{ protocol: "ipv6-icmp", ethertype: "IPv6" }, "outport == @pg && ip6 && icmp6"],
  [{ protocol: "vrrp" }, "outport == @pg && ip4 && ip.proto == 112"],
  [{ protocol: "47" }, "outport == @pg && ip4 && ip.proto == 47"],
  [{ protocol: "any" }, "outport == @pg && ip4"],
  [{ protocol: "0" }, "outport == @pg && ip4"],
  [{ protocol: "ip" }, "outport == @pg && ip4"],
  [{ remoteIpPrefix: "10.0.0.0/8" }, "outport == @pg && ip4 && ip4.src == 10.0.0.0/8"],
  [{ remoteIpPrefix: "0.0.0.0/0" }, "outport == @pg && ip4"],
  [
    { direction: "egress", remoteIpPrefix: "fd00::/8", ethertype: "IPv6" },
    "inport == @pg && ip6 && ip6.dst == fd00::/8",
  ],
  [{ remoteGroupId: "g-1" }, "outport == @pg && ip4 && ip4.src == $pg_g_1_ip4"],
  // What cannot be said must not let more through than was asked for.
  [{ remoteIpPrefix: "fd00::/8" }, undefined],
  [{ protocol: "udplite", portRangeMin: 5, portRangeMax: 5 }, undefined],
  [{ protocol: "nonsense" }, undefined],
  [{ protocol: "" }, undefined],
]

test("rules become OVN's expressions", () => {
  for (const [change, expected] of matches)
    assert.equal(ruleMatch({ ...base, ...change }, "pg"), expected, JSON.stringify(change))
})

test("rules of a stateless group keep no connections", () => {
  const all = rows((want) => {
    for (const group of want.securityGroups) group.isStateful = false
  })
  const actions = all.filter((each) => each.table === "ACL" && !each.id.startsWith("drop-"))
  assert.ok(actions.length > 0)
  for (const acl of actions) assert.equal(acl.columns.action, "allow-stateless")
})

test("a port with port security is in the drop group and its own, without it in none", () => {
  const secured = rows()
  const groupsOf = (all: readonly DesiredRow[], id: string) =>
    (row(all, "Logical_Switch_Port", id).places ?? []).filter((place) => place.table === "Port_Group")
  assert.ok(groupsOf(secured, ports.closed.id).some((place) => place.id === "drop"))
  assert.deepEqual(row(secured, "Logical_Switch_Port", ports.closed.id).columns.port_security, [
    "fa:16:3e:00:00:17 10.0.1.11 fe80::f816:3eff:fe00:17",
  ])
  const open = rows((want) => {
    portOf(want, ports.a.id).portSecurityEnabled = false
  })
  assert.deepEqual(groupsOf(open, ports.a.id), [])
  const { columns } = row(open, "Logical_Switch_Port", ports.a.id)
  assert.deepEqual(columns.port_security, [])
  assert.equal((columns.addresses as string[]).at(-1), "unknown")
})

test("allowed address pairs widen port security; a foreign MAC address is also delivered", () => {
  const all = rows((want) => {
    portOf(want, ports.b.id).allowedAddressPairs = [
      { ipAddress: "10.0.2.200", macAddress: "FA:16:3E:00:00:16" },
      { ipAddress: "10.0.2.0/28", macAddress: "00:00:5e:00:01:01" },
    ]
  })
  const { columns } = row(all, "Logical_Switch_Port", ports.b.id)
  assert.deepEqual(columns.port_security, [
    "fa:16:3e:00:00:16 10.0.2.10 fe80::f816:3eff:fe00:16 10.0.2.200",
    "00:00:5e:00:01:01 10.0.2.0/28",
  ])
  assert.deepEqual(columns.addresses, ["fa:16:3e:00:00:16 10.0.2.10", "00:00:5e:00:01:01 10.0.2.0/28"])
})

test("a port is down when it or its network is, and asks for its host", () => {
  const all = rows((want) => {
    portOf(want, ports.a.id).adminStateUp = false
    portOf(want, ports.b.id).hostId = null
    for (const network of want.networks) if (network.name === "b") network.adminStateUp = false
  })
  assert.deepEqual(row(all, "Logical_Switch_Port", ports.a.id).columns.enabled, [false])
  assert.deepEqual(row(all, "Logical_Switch_Port", ports.b.id).columns.enabled, [false])
  const options = (id: string) => textsOf(row(all, "Logical_Switch_Port", id).columns.options)
  assert.equal(options(ports.a.id)["requested-chassis"], "host1")
  assert.equal(options(ports.b.id)["requested-chassis"], undefined)
})

test("DHCP carries the route to the metadata service beside the others", () => {
  const all = rows((want) => {
    for (const subnet of want.subnets)
      if (subnet.cidr === "10.0.1.0/24")
        subnet.hostRoutes = [{ destination: "10.8.0.0/16", nexthop: "10.0.1.5" }]
      else if (subnet.cidr === "10.0.2.0/24") subnet.gatewayIp = null
  })
  const [a, b] = sampleWant.subnets
  const options = (id: string | undefined) => textsOf(row(all, "DHCP_Options", id ?? "").columns.options)
  assert.equal(
    options(a?.id).classless_static_route,
    "{169.254.169.254/32,10.0.1.2, 10.8.0.0/16,10.0.1.5, 0.0.0.0/0,10.0.1.1}",
  )
  assert.equal(options(b?.id).router, undefined)
  assert.equal(options(b?.id).server_id, "10.0.2.2")
  assert.equal(options(b?.id).classless_static_route, "{169.254.169.254/32,10.0.2.2}")
  assert.match(options(a?.id).server_mac ?? "", /^fa:16:3e(:[0-9a-f]{2}){3}$/)
})

test("options of its own give a port its own DHCP row; what OVN would choke on is left out", () => {
  const all = rows((want) => {
    portOf(want, ports.a.id).extraDhcpOptions = [
      { name: "option:bootfile-name", value: 'boot"x.efi', ipVersion: 4 },
      { name: "150", value: "10.0.1.9,10.0.1.8", ipVersion: 4 },
      { name: "interface-mtu", value: "9000", ipVersion: 4 },
      { name: "ntp-server", value: "no address", ipVersion: 4 },
      { name: "unheard-of", value: "1", ipVersion: 4 },
    ]
    portOf(want, ports.b.id).extraDhcpOptions = [{ name: "dhcp_disabled", value: "true", ipVersion: 4 }]
  })
  const id = row(all, "Logical_Switch_Port", ports.a.id).refs?.dhcpv4_options?.id ?? ""
  const options = textsOf(row(all, "DHCP_Options", id).columns.options)
  assert.equal(options.bootfile_name, '"bootx.efi"')
  assert.equal(options.tftp_server_address, "{10.0.1.9, 10.0.1.8}")
  assert.equal(options.mtu, "9000")
  assert.equal(options.ntp_server, undefined)
  assert.equal(options.router, "10.0.1.1", "the subnet's options stay")
  assert.deepEqual(row(all, "Logical_Switch_Port", ports.b.id).refs?.dhcpv4_options, null)
})

test("IPv6 addresses come by advertisement or by DHCPv6, as the subnet says", () => {
  const modes = (mode: "slaac" | "dhcpv6-stateful" | "dhcpv6-stateless") => {
    const all = rows((want) => {
      for (const subnet of want.subnets)
        if (subnet.ipVersion === 6) Object.assign(subnet, { ipv6AddressMode: mode, ipv6RaMode: mode })
    })
    const dhcp = row(all, "Logical_Switch_Port", ports.a.id).refs?.dhcpv6_options?.id
    const ra = all.find(
      (each) =>
        each.table === "Logical_Router_Port" && JSON.stringify(each.columns.networks).includes("fd00"),
    )
    return {
      ra: textsOf(ra?.columns.ipv6_ra_configs).address_mode,
      dhcp: dhcp && textsOf(row(all, "DHCP_Options", dhcp).columns.options),
    }
  }
  assert.deepEqual(modes("slaac"), { ra: "slaac", dhcp: undefined })
  assert.equal(modes("dhcpv6-stateful").ra, "dhcpv6_stateful")
  assert.equal(textsOf(modes("dhcpv6-stateful").dhcp).dhcpv6_stateless, undefined)
  assert.equal(textsOf(modes("dhcpv6-stateless").dhcp).dhcpv6_stateless, "true")
})

test("a router translates addresses and routes", () => {
  const all = rows((want) => {
    for (const router of want.routers) router.routes = [{ destination: "10.9.0.0/16", nexthop: "10.0.1.10" }]
  })
  const nat = all.filter((each) => each.table === "NAT").map((each) => each.columns)
  assert.deepEqual(
    nat
      .filter((each) => each.type === "snat")
      .map((each) => each.logical_ip)
      .sort(),
    ["10.0.1.0/24", "10.0.2.0/24"],
  )
  assert.ok(nat.some((each) => each.type === "dnat_and_snat" && each.external_ip === "172.24.4.50"))
  const routes = all
    .filter((each) => each.table === "Logical_Router_Static_Route")
    .map((each) => each.columns)
  assert.deepEqual(routes.map((each) => [each.ip_prefix, each.nexthop]).sort(), [
    ["0.0.0.0/0", "172.24.4.1"],
    ["10.9.0.0/16", "10.0.1.10"],
  ])
  const central = nat.find((each) => each.type === "dnat_and_snat")
  assert.deepEqual([central?.external_mac, central?.logical_port], [[], []])
  const spread = rows((want) => {
    for (const floatingIp of want.floatingIps) floatingIp.isDistributed = true
  }).find((each) => each.columns.type === "dnat_and_snat")?.columns
  assert.deepEqual(spread?.external_mac, ["fa:16:3e:00:02:01"])
  assert.match(String(spread?.logical_port), /^[0-9a-f-]{36}$/, "the port whose host answers for it")
  const noSnat = rows((want) => {
    for (const router of want.routers) router.enableSnat = false
  })
  assert.ok(!noSnat.some((each) => each.columns.type === "snat"))
})

test("a VLAN network is tagged at the edge, a tenant network has none", () => {
  const all = rows((want) => {
    for (const network of want.networks)
      if (network.provider) network.provider = { type: "vlan", physicalNetwork: "p", segmentationId: 100 }
  })
  const edges = all.filter((each) => each.columns.type === "localnet").map((each) => each.columns)
  assert.equal(edges.length, 1)
  assert.deepEqual(edges[0]?.tag, [100])
  assert.deepEqual(edges[0]?.options, { network_name: "p" })
})
