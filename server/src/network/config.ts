import { Type } from "typebox"
import { badConfig, configSection, type SectionOf } from "../platform/config/config.ts"
import { canonicalAddress, parseAddress, parsePrefix, prefixContains } from "../platform/net/address.ts"
import { readBridgeMappings } from "../platform/net/bridge-mappings.ts"

const quota = (value: number, what: string) =>
  Type.Integer({
    default: value,
    minimum: -1,
    description: `${what} that a project may have; -1 is no limit.`,
  })

export const networkConfig = configSection(
  "network",
  Type.Object({
    publicCidr: Type.String({
      default: "172.24.4.0/24",
      description: "Addresses of the external network that is made at the first start.",
    }),
    publicGateway: Type.String({
      default: "172.24.4.1",
      description: "Gateway of the external network: this host's own address on it.",
    }),
    publicPoolStart: Type.String({ default: "172.24.4.10", description: "First floating address." }),
    publicPoolEnd: Type.String({ default: "172.24.4.250", description: "Last floating address." }),
    privateCidr: Type.String({
      default: "10.0.0.0/26",
      description: "Addresses of the private network that the demo project gets at the first start.",
    }),
    defaultPoolCidr: Type.String({
      default: "10.128.0.0/16",
      description:
        "Addresses from which projects that ask for any network get theirs; a shared subnet pool of the first start.",
    }),
    dnsNameservers: Type.Array(Type.String(), {
      default: ["1.1.1.1"],
      description: "Name servers that the private network's DHCP hands out.",
    }),
    physicalNetworks: Type.Array(Type.String(), {
      default: ["public"],
      description: "Physical networks that provider networks may lie on.",
    }),
    bridgeMappings: Type.Array(Type.String(), {
      default: [],
      description:
        "By which bridges of this machine it reaches physical networks, such as `datacentre:br-dc`; the bridges must be " +
        "there. Of `public` the cloud makes one of its own where none is named, and is the gateway itself. Other hosts " +
        "say theirs when they join (`--bridge-mappings`), and later by `kumoi host bridge-mappings`.",
    }),
    enableDistributedFloatingIp: Type.Boolean({
      default: false,
      description:
        "Floating IPs are translated on the host of their server, where that reaches the floating IP's physical network, " +
        "and not on the router's gateway. As Neutron's option for OVN; those that there are follow at the next start.",
    }),
    tunnelMtu: Type.Integer({
      default: 1442,
      minimum: 68,
      description: "MTU of tenant networks: 1500 less what Geneve needs.",
    }),
    physicalMtu: Type.Integer({ default: 1500, minimum: 68, description: "MTU of physical networks." }),
    tunnelIdMax: Type.Integer({
      default: 65_535,
      minimum: 1,
      maximum: 16_777_215,
      description: "Highest segment number of a tenant network; they are given out at random.",
    }),
    dnsDomain: Type.String({
      default: "openstacklocal.",
      description: "Domain of machine names on networks without their own.",
    }),
    availabilityZone: Type.String({ default: "nova", description: "Name of the network availability zone." }),
    nameserversMax: Type.Integer({
      default: 5,
      description: "Name servers of a subnet at the most; DHCP options have a bounded size.",
    }),
    hostRoutesMax: Type.Integer({
      default: 20,
      description: "Host routes of a subnet at the most; DHCP options have a bounded size.",
    }),
    routesMax: Type.Integer({ default: 30, description: "Extra routes of a router at the most." }),
    addressPairsMax: Type.Integer({
      default: 10,
      description: "Allowed address pairs of a port at the most.",
    }),
    fixedIpsMax: Type.Integer({ default: 64, description: "Addresses of one port at the most." }),
    portForwardingRangeMax: Type.Integer({
      default: 1_000,
      minimum: 1,
      description: "Ports of one port forwarding at the most: the network's engine has an entry for each.",
    }),
    bulkMax: Type.Integer({ default: 200, description: "Things made by one request at the most." }),
    pageMax: Type.Integer({ default: 1_000, description: "Items of a list page at the most." }),
    quotaNetworks: quota(100, "Networks"),
    quotaSubnets: quota(100, "Subnets"),
    quotaSubnetPools: quota(-1, "Subnet pools"),
    quotaPorts: quota(500, "Ports"),
    quotaRouters: quota(10, "Routers"),
    quotaFloatingIps: quota(50, "Floating IPs"),
    quotaPortForwardings: quota(200, "Port forwardings"),
    quotaSecurityGroups: quota(10, "Security groups"),
    quotaSecurityGroupRules: quota(100, "Security group rules"),
    quotaRbacPolicies: quota(10, "RBAC policies"),
  }),
  checkAddresses,
)

declare module "../platform/config/config.ts" {
  interface Config {
    readonly network: SectionOf<typeof networkConfig>
  }
}

interface FirstNetworks
  extends Record<
    "publicCidr" | "privateCidr" | "defaultPoolCidr" | "publicGateway" | "publicPoolStart" | "publicPoolEnd",
    string
  > {
  dnsNameservers: string[]
  bridgeMappings: string[]
}

/** What the first start makes networks of, so that a slip shows before there is half a cloud. */
function checkAddresses(network: FirstNetworks): void {
  for (const key of ["publicCidr", "privateCidr", "defaultPoolCidr"] as const) {
    if (network[key].includes("/") && parsePrefix(network[key])) continue
    throw badConfig(`network.${key}`, `${JSON.stringify(network[key])} is no CIDR; write 10.0.0.0/8`)
  }
  const cidr = parsePrefix(network.publicCidr)
  for (const key of ["publicGateway", "publicPoolStart", "publicPoolEnd"] as const) {
    const address = parseAddress(network[key])
    if (!address) throw badConfig(`network.${key}`, `${JSON.stringify(network[key])} is no IP address`)
    if (cidr && !prefixContains(cidr, address))
      throw badConfig(
        `network.${key}`,
        `${network[key]} is not in ${network.publicCidr} (network.publicCidr)`,
      )
  }
  const mappings = readBridgeMappings(network.bridgeMappings)
  if (typeof mappings === "string") throw badConfig("network.bridgeMappings", mappings)
  for (const server of network.dnsNameservers) {
    if (!canonicalAddress(server))
      throw badConfig("network.dnsNameservers", `${JSON.stringify(server)} is no IP address`)
  }
}
