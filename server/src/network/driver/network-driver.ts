// The port between the network service and what carries packets. Plain data in, plain data out; no SQL, no
// domain decisions. The service says all that must be there (`NetworkWant`), the driver makes it so: repeatable
// after any crash, and what carries our mark but is not wanted is removed.

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

export interface WantPort {
  id: string
  networkId: string
  name: string
  macAddress: string
  fixedIps: { subnetId: string; ipAddress: string }[]
  adminStateUp: boolean
  /**
   * vif: a machine's interface (may be unbound: hostId null). router: see WantRouter.interfaces. metadata: the
   * network's DHCP/metadata port (OVN localport). Floating-IP and gateway addresses are no ports here.
   */
  kind: "vif" | "router" | "metadata"
  hostId: string | null
  portSecurityEnabled: boolean
  allowedAddressPairs: { ipAddress: string; macAddress: string }[]
  securityGroupIds: string[]
  extraDhcpOptions: { name: string; value: string; ipVersion: 4 | 6 }[]
  dnsName: string | null
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
  /** The port that it points at, for distributed NAT. */
  portId: string
  macAddress: string
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
  securityGroups: WantSecurityGroup[]
}

/** Some ports of machines, all else being as the last reconcile was told. */
export interface PortsChange {
  /** New or changed, of kind vif. */
  ports: readonly WantPort[]
  gone: readonly { id: string; networkId: string }[]
  /** Of these ports. */
  networks: readonly WantNetwork[]
  subnets: readonly WantSubnet[]
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

export interface NetworkDriver {
  readonly name: string
  /** Makes the engine equal to `want`; returns when the engine has taken it (not when each host has). */
  reconcile(want: NetworkWant): Promise<ReconcileReport>
  /**
   * Makes the engine equal in these ports only, at a cost that does not grow with the other ones. Null when the change
   * goes further than that: then `reconcile` is needed.
   */
  changePorts(change: PortsChange): Promise<ReconcileReport | null>
  /** Changes of port state as the engine sees them; begins with the present state of every port. */
  portStates(signal: AbortSignal): AsyncIterable<PortStateEvent>
  /** What is wrong, for status and doctor; undefined when healthy. */
  health(): Promise<string | undefined>
  [Symbol.asyncDispose](): Promise<void>
}
