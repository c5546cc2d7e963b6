// Two tenant networks behind a router with a gateway, a floating IP, and security groups: what the drivers are
// tested with.
import type {
  NetworkWant,
  WantNetwork,
  WantPort,
  WantSecurityGroupRule,
  WantSubnet,
} from "../network-driver.ts"

export const floatingAddress = "172.24.4.50"
export const forwardingAddress = "172.24.4.52"
export const routerAddress = "172.24.4.10"

const uuid = (n: number) => `${String(n).padStart(8, "0")}-0000-4000-8000-${String(n).padStart(12, "0")}`

function network(n: number, name: string, isExternal = false): WantNetwork {
  return {
    id: uuid(n),
    name,
    mtu: isExternal ? 1500 : 1442,
    provider: isExternal ? { type: "flat", physicalNetwork: "public", segmentationId: null } : null,
    isExternal,
    adminStateUp: true,
    dnsDomain: isExternal ? null : "example.org.",
  }
}

function subnet(n: number, networkId: string, prefix: string): WantSubnet {
  return {
    id: uuid(n),
    networkId,
    ipVersion: 4,
    cidr: `${prefix}.0/24`,
    gatewayIp: `${prefix}.1`,
    enableDhcp: true,
    dnsNameservers: ["192.0.2.53"],
    hostRoutes: [],
    ipv6AddressMode: null,
    ipv6RaMode: null,
    serviceIp: `${prefix}.2`,
  }
}

function port(n: number, name: string, subnetOf: WantSubnet, address: string, groups: string[]): WantPort {
  return {
    id: uuid(n),
    networkId: subnetOf.networkId,
    name,
    macAddress: `fa:16:3e:00:00:${n.toString(16).padStart(2, "0")}`,
    fixedIps: [{ subnetId: subnetOf.id, ipAddress: address }],
    adminStateUp: true,
    kind: "vif",
    hostId: "host1",
    portSecurityEnabled: true,
    allowedAddressPairs: [],
    securityGroupIds: groups,
    extraDhcpOptions: [],
    dnsName: name,
    holdsName: true,
    virtual: null,
    qos: null,
  }
}

function rule(n: number, values: Partial<WantSecurityGroupRule>): WantSecurityGroupRule {
  return {
    id: uuid(n),
    direction: "ingress",
    ethertype: "IPv4",
    protocol: null,
    portRangeMin: null,
    portRangeMax: null,
    remoteIpPrefix: null,
    remoteGroupId: null,
    ...values,
  }
}

const netA = network(1, "a")
const netB = network(2, "b")
const netPublic = network(3, "public", true)
const subnetA = subnet(11, netA.id, "10.0.1")
const subnetB = subnet(12, netB.id, "10.0.2")
/** Addresses by router advertisement; the guest's follows from its MAC address. */
const subnetA6: WantSubnet = {
  ...subnet(14, netA.id, ""),
  ipVersion: 6,
  cidr: "fd00:1::/64",
  gatewayIp: "fd00:1::1",
  dnsNameservers: [],
  serviceIp: null,
  ipv6AddressMode: "slaac",
  ipv6RaMode: "slaac",
}
export const slaacAddress = "fd00:1::f816:3eff:fe00:15"
const web = uuid(41)
const inner = uuid(42)

const portA = port(21, "a", subnetA, "10.0.1.10", [web])

export const ports = {
  a: { ...portA, fixedIps: [...portA.fixedIps, { subnetId: subnetA6.id, ipAddress: slaacAddress }] },
  b: port(22, "b", subnetB, "10.0.2.10", [inner]),
  closed: port(23, "closed", subnetA, "10.0.1.11", []),
}

export const metadataPorts = [
  { ...port(31, "ma", subnetA, "10.0.1.2", []), kind: "metadata" as const, hostId: null, dnsName: null },
  { ...port(32, "mb", subnetB, "10.0.2.2", []), kind: "metadata" as const, hostId: null, dnsName: null },
]

export const sampleWant: NetworkWant = {
  networks: [netA, netB, netPublic],
  subnets: [
    subnetA,
    subnetB,
    subnetA6,
    { ...subnet(13, netPublic.id, "172.24.4"), enableDhcp: false, dnsNameservers: [], serviceIp: null },
  ],
  ports: [...Object.values(ports), ...metadataPorts],
  routers: [
    {
      id: uuid(51),
      name: "r",
      adminStateUp: true,
      enableSnat: true,
      gateway: {
        networkId: netPublic.id,
        portId: uuid(61),
        macAddress: "fa:16:3e:00:01:01",
        fixedIps: [
          { subnetId: uuid(13), ipAddress: routerAddress, cidr: "172.24.4.0/24", gatewayIp: "172.24.4.1" },
        ],
        qos: null,
      },
      interfaces: [subnetA, subnetB, subnetA6].map((each, i) => ({
        portId: uuid(62 + i),
        networkId: each.networkId,
        macAddress: `fa:16:3e:00:01:0${2 + i}`,
        fixedIps: [{ subnetId: each.id, ipAddress: each.gatewayIp ?? "", cidr: each.cidr }],
      })),
      routes: [],
    },
  ],
  floatingIps: [
    {
      id: uuid(71),
      routerId: uuid(51),
      floatingIpAddress: floatingAddress,
      fixedIpAddress: "10.0.1.10",
      portId: ports.a.id,
      macAddress: "fa:16:3e:00:02:01",
      isDistributed: false,
      networkId: netPublic.id,
      gatewayPortId: uuid(61),
      qos: null,
    },
  ],
  portForwardings: [
    {
      id: uuid(72),
      floatingIpId: uuid(73),
      routerId: uuid(51),
      networkIds: [netA.id, netB.id],
      protocol: "tcp",
      floatingIpAddress: forwardingAddress,
      internalIpAddress: "10.0.2.10",
      externalPorts: { first: 8080, last: 8081 },
      internalPorts: { first: 80, last: 81 },
    },
  ],
  securityGroups: [
    {
      id: web,
      isStateful: true,
      rules: [
        rule(81, { protocol: "tcp", portRangeMin: 80, portRangeMax: 80 }),
        rule(82, { protocol: "icmp" }),
        rule(83, { direction: "egress" }),
        rule(86, { direction: "egress", ethertype: "IPv6" }),
      ],
    },
    {
      id: inner,
      isStateful: true,
      rules: [rule(84, { remoteGroupId: web, protocol: "tcp" }), rule(85, { direction: "egress" })],
    },
  ],
}
