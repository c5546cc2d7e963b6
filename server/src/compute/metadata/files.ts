// The files that a guest finds at 169.254.169.254 and on its config drive. Pure: facts in, text out. The forms are
// cloud-init's sources `OpenStack`, `ConfigDrive` and `Ec2`.
import type { ServerMetadataNetwork } from "../../network/index.ts"
import type { MetadataFacts } from "./facts.ts"

/** Versions of the openstack tree; each adds files to the one before. */
export const openstackVersions = [
  "2012-08-10",
  "2013-04-04",
  "2013-10-17",
  "2015-10-15",
  "2016-06-30",
  "2016-10-06",
  "2017-02-22",
  "2018-08-27",
  "2020-10-14",
  "2025-04-04",
  "latest",
] as const

export const ec2Versions = [
  "1.0",
  "2007-01-19",
  "2007-03-01",
  "2007-08-29",
  "2007-10-10",
  "2007-12-15",
  "2008-02-01",
  "2008-09-01",
  "2009-04-04",
  "latest",
] as const

/** File name → content, for one version of the openstack tree. */
export function openstackFiles(facts: MetadataFacts, version: string): Record<string, string> {
  const has = (since: string) => version === "latest" || version >= since
  return {
    "meta_data.json": JSON.stringify(metaDataOf(facts, version)),
    ...(facts.userData !== null && { user_data: Buffer.from(facts.userData, "base64").toString("latin1") }),
    ...(has("2013-04-04") && { password: "" }),
    ...(has("2013-10-17") && { "vendor_data.json": "{}" }),
    ...(has("2015-10-15") && { "network_data.json": JSON.stringify(networkDataOf(facts.networks)) }),
    ...(has("2016-10-06") && { "vendor_data2.json": JSON.stringify({ static: {} }) }),
  }
}

/** Name → bytes as latin1 of what `content_path`s name, beside the versions of the openstack tree. */
export function contentFiles(facts: MetadataFacts): Record<string, string> {
  return Object.fromEntries(
    facts.injectedFiles.map(({ contents }, index) => [
      contentNameOf(index),
      Buffer.from(contents, "base64").toString("latin1"),
    ]),
  )
}

const contentNameOf = (index: number) => String(index).padStart(4, "0")

function hostnameOf(facts: MetadataFacts): string {
  return facts.dhcpDomain === "" ? facts.hostname : `${facts.hostname}.${facts.dhcpDomain}`
}

function metaDataOf(facts: MetadataFacts, version: string): Record<string, unknown> {
  const has = (since: string) => version === "latest" || version >= since
  const keys =
    facts.keyName === null || facts.publicKey === null
      ? {}
      : {
          public_keys: { [facts.keyName]: facts.publicKey },
          ...(has("2013-10-17") && {
            keys: [{ name: facts.keyName, type: facts.keyType ?? "ssh", data: facts.publicKey }],
          }),
        }
  return {
    uuid: facts.serverId,
    ...(Object.keys(facts.metadata).length > 0 && { meta: facts.metadata }),
    ...(facts.injectedFiles.length > 0 && {
      files: facts.injectedFiles.map(({ path }, index) => ({
        path,
        content_path: `/content/${contentNameOf(index)}`,
      })),
    }),
    ...keys,
    ...(facts.adminPassword !== null && { admin_pass: facts.adminPassword }),
    hostname: hostnameOf(facts),
    name: facts.name,
    launch_index: facts.launchIndex,
    availability_zone: facts.availabilityZone,
    ...(has("2013-04-04") && { random_seed: facts.randomSeed }),
    ...(has("2015-10-15") && { project_id: facts.projectId }),
    ...(has("2016-06-30") && { devices: taggedDevices(facts) }),
    ...(has("2020-10-14") && { dedicated_cpus: [] }),
  }
}

/** Those that have a tag, by which a guest finds them. Where they are on its buses is not known here. */
function taggedDevices({ volumes }: MetadataFacts): Record<string, unknown>[] {
  return volumes
    .filter(({ tag }) => tag !== null)
    .map(({ volumeId, device, tag }) => ({
      ...{ type: "disk", bus: "none", address: "none" },
      ...{ serial: volumeId, path: device, tags: [tag] },
    }))
}

/** network_data.json: links are the interfaces, networks what is configured on them, services the name servers. */
export function networkDataOf(networks: readonly ServerMetadataNetwork[]): Record<string, unknown> {
  const servers = new Set<string>()
  // An interface without an address is not for the guest to configure.
  const addressed = networks.filter((n) => n.fixedIps.length > 0)
  const links = addressed.map((n) => ({
    id: linkIdOf(n),
    vif_id: n.portId,
    type: "ovs",
    mtu: n.mtu,
    ethernet_mac_address: n.macAddress,
  }))
  const configured: Record<string, unknown>[] = []
  for (const network of addressed) {
    const automatic = new Set<number>()
    for (const ip of network.fixedIps) {
      for (const server of ip.dnsNameservers) servers.add(server)
      if (isAutomatic(ip)) {
        // One DHCP client an interface and family, however many addresses the port has.
        if (automatic.has(ip.ipVersion)) continue
        automatic.add(ip.ipVersion)
      }
      configured.push(configuredNetwork(network, ip, configured.length))
    }
  }
  return {
    links,
    networks: configured,
    services: [...servers].map((address) => ({ type: "dns", address })),
  }
}

function linkIdOf(network: ServerMetadataNetwork): string {
  return `tap${network.portId.slice(0, 11)}`
}

type FixedIp = ServerMetadataNetwork["fixedIps"][number]

/** The guest asks the network for it (DHCP, router advertisement); otherwise it sets the address itself. */
function isAutomatic(ip: FixedIp): boolean {
  return ip.isDhcp || ip.ipv6AddressMode !== null
}

function configuredNetwork(
  network: ServerMetadataNetwork,
  ip: FixedIp,
  index: number,
): Record<string, unknown> {
  const base = { id: `network${index}`, link: linkIdOf(network), network_id: network.networkId }
  const services = ip.dnsNameservers.map((address) => ({ type: "dns", address }))
  if (ip.isDhcp && ip.ipv6AddressMode === null) return { ...base, type: `ipv${ip.ipVersion}_dhcp` }
  const prefix = Number(ip.cidr.split("/")[1] ?? (ip.ipVersion === 4 ? 32 : 128))
  return {
    ...base,
    // ipv6_slaac, ipv6_dhcpv6-stateful, ipv6_dhcpv6-stateless: cloud-init knows them in this spelling only.
    type: ip.ipv6AddressMode === null ? `ipv${ip.ipVersion}` : `ipv6_${ip.ipv6AddressMode}`,
    ip_address: ip.ipAddress,
    netmask: netmaskOf(ip.ipVersion, prefix),
    routes: [
      ...(ip.gatewayIp === null
        ? []
        : [
            {
              network: ip.ipVersion === 4 ? "0.0.0.0" : "::",
              netmask: ip.ipVersion === 4 ? "0.0.0.0" : "::",
              gateway: ip.gatewayIp,
            },
          ]),
      ...ip.hostRoutes.map((r) => {
        const [address = "", bits] = r.destination.split("/")
        return { network: address, netmask: netmaskOf(ip.ipVersion, Number(bits ?? 32)), gateway: r.nexthop }
      }),
    ],
    services,
  }
}

export function netmaskOf(ipVersion: 4 | 6, prefix: number): string {
  const [groups, bits] = ipVersion === 4 ? [4, 8] : [8, 16]
  const parts: number[] = []
  for (let i = 0; i < groups; i++) {
    const ones = Math.min(Math.max(prefix - i * bits, 0), bits)
    parts.push((2 ** bits - 1) & ~(2 ** (bits - ones) - 1))
  }
  return ipVersion === 4
    ? parts.join(".")
    : parts
        .map((p) => p.toString(16))
        .join(":")
        .replace(/(^0|:0)(:0)*$/, "::")
}

/** The EC2 tree below a version: a directory is an object, a file is text. */
export type Ec2Node = string | { [name: string]: Ec2Node }

export function ec2Tree(facts: MetadataFacts): { [name: string]: Ec2Node } {
  const fixed = facts.networks.flatMap((n) => n.fixedIps).filter((ip) => ip.ipVersion === 4)
  const floating = fixed.flatMap((ip) => ip.floatingIps)
  const hostname = hostnameOf(facts)
  const metaData: { [name: string]: Ec2Node } = {
    "ami-id": facts.imageId === null ? "" : ec2IdOf("ami", facts.number),
    "ami-launch-index": String(facts.launchIndex),
    "ami-manifest-path": "",
    "block-device-mapping": blockDeviceMapping(facts),
    hostname,
    "instance-action": "none",
    "instance-id": ec2IdOf("i", facts.number),
    "instance-type": facts.flavorName,
    "local-hostname": hostname,
    "local-ipv4": fixed[0]?.ipAddress ?? "",
    placement: { "availability-zone": facts.availabilityZone },
    "public-hostname": hostname,
    "public-ipv4": floating[0] ?? "",
    "reservation-id": facts.reservationId,
    "security-groups": facts.securityGroups.join("\n"),
  }
  if (facts.keyName !== null && facts.publicKey !== null)
    metaData["public-keys"] = { [`0=${facts.keyName}`]: { "openssh-key": facts.publicKey } }
  return {
    "meta-data": metaData,
    ...(facts.userData !== null && {
      "user-data": Buffer.from(facts.userData, "base64").toString("latin1"),
    }),
  }
}

/** cloud-init mounts ephemeral0 and uses swap by what stands here. */
function blockDeviceMapping({ disks, volumes }: MetadataFacts): { [name: string]: Ec2Node } {
  const mapping: { [name: string]: Ec2Node } = {}
  for (const { name, device } of disks) {
    if (name === "root") mapping.ami = device
    mapping[name] = `/dev/${device}`
  }
  const root = volumes.find(({ isRoot }) => isRoot)
  if (root) Object.assign(mapping, { ami: root.device.replace(/^\/dev\//, ""), root: root.device })
  for (const [index, { device }] of volumes.entries()) mapping[`ebs${index}`] = device
  return mapping
}

/** `i-0000002a`: the EC2 wire shows servers so as well. */
export function ec2IdOf(kind: string, number: number): string {
  return `${kind}-${number.toString(16).padStart(8, "0")}`
}

/** All files of a config drive by path, base64. */
export function configDriveFiles(facts: MetadataFacts): Record<string, string> {
  const files: Record<string, string> = {}
  const add = (path: string, content: string) => {
    files[path] = Buffer.from(content, "latin1").toString("base64")
  }
  for (const version of openstackVersions) {
    for (const [name, content] of Object.entries(openstackFiles(facts, version)))
      if (name !== "password") add(`openstack/${version}/${name}`, latin1Of(name, content))
  }
  for (const [name, content] of Object.entries(contentFiles(facts))) add(`openstack/content/${name}`, content)
  const tree = ec2Tree(facts)
  const flat = JSON.stringify(ec2JsonOf(tree["meta-data"] ?? {}))
  for (const version of ["2009-04-04", "latest"]) {
    add(`ec2/${version}/meta-data.json`, latin1Of("meta-data.json", flat))
    const userData = tree["user-data"]
    if (typeof userData === "string") add(`ec2/${version}/user-data`, userData)
  }
  return files
}

/** User data are bytes that the user chose (kept one by one as latin1); all else is text, sent as UTF-8. */
function latin1Of(name: string, content: string): string {
  return name === "user_data" ? content : Buffer.from(content, "utf8").toString("latin1")
}

function ec2JsonOf(node: Ec2Node): unknown {
  if (typeof node === "string") return node
  return Object.fromEntries(
    Object.entries(node).map(([name, child]) => {
      // The listing's `0=name` is no name of a directory; a reader of the JSON looks for `0`.
      const [number, label] = name.split("=", 2)
      if (label !== undefined && typeof child !== "string") return [number, { _name: name, ...child }]
      if (name === "security-groups" && typeof child === "string") return [name, child.split("\n")]
      return [name, ec2JsonOf(child)]
    }),
  )
}

/** What a GET in the EC2 tree answers: a listing for a directory, the text for a file, undefined for neither. */
export function readEc2(tree: { [name: string]: Ec2Node }, path: readonly string[]): string | undefined {
  let node: Ec2Node = tree
  for (const part of path) {
    if (typeof node === "string") return undefined
    // cloud-init lists public-keys and reads `0/`: the number names the entry `0=<name>`.
    const name: string | undefined = Object.hasOwn(node, part)
      ? part
      : Object.keys(node).find((key) => key.startsWith(`${part}=`))
    const next: Ec2Node | undefined = name === undefined ? undefined : node[name]
    if (next === undefined) return undefined
    node = next
  }
  if (typeof node === "string") return node
  return Object.entries(node)
    .map(([name, child]) => (typeof child === "string" || name.includes("=") ? name : `${name}/`))
    .join("\n")
}
