// The port between the network service and what carries packets. Plain data in, plain data out; no SQL, no
// domain decisions. The service tells of some things what they must be, or that they are gone; the driver makes it so
// at a cost that does not grow with what it was not told of. Repeatable after any crash; what does not carry our mark
// is left alone.

export interface WantNetwork {
  id: string
  name: string
  mtu: number
  /** Set for a network that leaves the cloud (flat/vlan on a physical network). */
  provider: { type: "flat" | "vlan"; physicalNetwork: string; segmentationId: number | null } | null
  isExternal: boolean
  adminStateUp: boolean
  dnsDomain: string | null
}

export interface WantSubnet {
  id: string
  networkId: string
  ipVersion: 4 | 6
  cidr: string
  gatewayIp: string | null
  enableDhcp: boolean
  dnsNameservers: string[]
  hostRoutes: { destination: string; nexthop: string }[]
  ipv6AddressMode: "slaac" | "dhcpv6-stateful" | "dhcpv6-stateless" | null
  ipv6RaMode: "slaac" | "dhcpv6-stateful" | "dhcpv6-stateless" | null
  /** Address that the DHCP and metadata service of this network answers from, when it has one. */
  serviceIp: string | null
}

/** Of a machine's port or of addresses outside a router: egress is what it sends. */
export interface WantQos {
  egress: WantBandwidth | null
  ingress: WantBandwidth | null
  /** Written into what it sends. */
  dscpMark: number | null
}

export interface WantBandwidth {
  /** What is beyond is dropped. */
  maxKbps: number
  /** What may pass at once after a pause; null: what passes in a second. */
  maxBurstKbits: number | null
}

export interface WantPort {
  id: string
  networkId: string
  name: string
  macAddress: string
  fixedIps: { subnetId: string; ipAddress: string }[]
  adminStateUp: boolean
  /**
   * vif: a machine's interface (may be unbound: hostId null). metadata: the network's DHCP/metadata port (OVN
   * localport). A router's interfaces and gateway are the router's; floating addresses are no ports here.
   */
  kind: "vif" | "metadata"
  hostId: string | null
  portSecurityEnabled: boolean
  allowedAddressPairs: { ipAddress: string; macAddress: string }[]
  securityGroupIds: string[]
  extraDhcpOptions: { name: string; value: string; ipVersion: 4 | 6 }[]
  dnsName: string | null
  /** False where another port of the network has the same name and is the one that answers to it. */
  holdsName: boolean
  /** An address that no machine holds for good: whichever of the parents says that it has it gets what is sent to it. */
  virtual: { ipAddress: string; parentIds: string[] } | null
  qos: WantQos | null
}

export interface WantRouter {
  id: string
  name: string
  adminStateUp: boolean
  enableSnat: boolean
  /** The gateway port on an external network, when set. */
  gateway: {
    networkId: string
    portId: string
    macAddress: string
    /** With the subnet's gateway (next hop of the default route) and prefix length. */
    fixedIps: { subnetId: string; ipAddress: string; cidr: string; gatewayIp: string | null }[]
    /** Of all that passes but what a floating IP has a limit of its own for. */
    qos: WantQos | null
  } | null
  interfaces: {
    portId: string
    networkId: string
    macAddress: string
    fixedIps: { subnetId: string; ipAddress: string; cidr: string }[]
  }[]
  routes: { destination: string; nexthop: string }[]
}

export interface WantFloatingIp {
  id: string
  routerId: string
  floatingIpAddress: string
  fixedIpAddress: string
  /** The port that it points at. */
  portId: string
  macAddress: string
  /** Translated on the port's host, and not on the router's gateway. */
  isDistributed: boolean
  /** The external network, and the router's gateway on it. */
  networkId: string
  gatewayPortId: string | null
  qos: WantQos | null
}

/** Of one floating IP: connections to its ports go to ports of an inner address, on the router's gateway. */
export interface WantPortForwarding {
  id: string
  floatingIpId: string
  routerId: string
  /** Those that the router joins: from there, too, the floating IP's ports are reached. */
  networkIds: string[]
  protocol: "tcp" | "udp"
  floatingIpAddress: string
  internalIpAddress: string
  /** As many as there are internal ones; or any number, and one internal one. */
  externalPorts: { first: number; last: number }
  internalPorts: { first: number; last: number }
}

export interface WantSecurityGroupRule {
  id: string
  direction: "ingress" | "egress"
  ethertype: "IPv4" | "IPv6"
  /** Name or number as Neutron stores it ("tcp", "icmp", "47"), null for any. */
  protocol: string | null
  portRangeMin: number | null
  portRangeMax: number | null
  remoteIpPrefix: string | null
  remoteGroupId: string | null
}

export interface WantSecurityGroup {
  id: string
  isStateful: boolean
  rules: WantSecurityGroupRule[]
}

export interface NetworkWant {
  networks: WantNetwork[]
  subnets: WantSubnet[]
  ports: WantPort[]
  routers: WantRouter[]
  floatingIps: WantFloatingIp[]
  portForwardings: WantPortForwarding[]
  securityGroups: WantSecurityGroup[]
}

export type Told = { readonly [noun in keyof NetworkWant]: readonly string[] }

/** Some things of the network. */
export interface NetworkChange {
  /** Ids: each of these is as `want` has it, and gone where `want` has it not. */
  told: Told
  /** These, and the networks and subnets that they stand on. */
  want: NetworkWant
}

/** What the engine found to follow from a change, for the service to read and tell next. */
export interface Follow {
  ports: readonly string[]
  /** All ports with an address of these subnets. */
  portsOfSubnets: readonly string[]
  /** Everything that stands on these networks. */
  ofNetworks: readonly string[]
}

export interface ChangeReport extends ReconcileReport {
  follow: Follow
}

export interface ReconcileReport {
  created: number
  updated: number
  removed: number
}

export interface PortStateEvent {
  portId: string
  /** Whether the data path for the port is there on its host. */
  isUp: boolean
}

/** A host that carries routers' gateways. Routers are spread over those that have the highest priority and live. */
export interface Gateway {
  /** The host's name in the network engine. */
  chassis: string
  priority: number
}

/** It carries nothing, so that it does not matter which host a port is on. */
export const isSimulated = ({ name }: Pick<NetworkDriver, "name">) => name === "fake"

export interface NetworkDriver {
  readonly name: string
  /**
   * Makes the engine equal in what it is told; returns when the engine has taken it (not when each host has). Calls
   * take turns, and `read` is called in its turn: what is told later was read later, whoever else tells this engine.
   * Called again with what the first answer stands on and the engine lacks.
   */
  change(read: (also: Partial<Told>) => Promise<NetworkChange>): Promise<ChangeReport>
  /** These hosts, and no others, from now on; costs the same with any number of routers. */
  setGateways(gateways: readonly Gateway[]): Promise<void>
  /** What the engine has of this cloud. */
  known(): Promise<Told>
  /** Changes of port state as the engine sees them; begins with the present state of every port. */
  portStates(signal: AbortSignal): AsyncIterable<PortStateEvent>
  /** As the engine says now. */
  isPortUp(portId: string): boolean
  /** What is wrong, for status and doctor; undefined when healthy. */
  health(): Promise<string | undefined>
  [Symbol.asyncDispose](): Promise<void>
}
