import assert from "node:assert/strict"
import { test } from "node:test"
import { answerMetadata } from "./answer.ts"
import type { MetadataFacts } from "./facts.ts"
import { configDriveFiles, ec2Tree, netmaskOf, networkDataOf, openstackFiles, readEc2 } from "./files.ts"

const facts: MetadataFacts = {
  serverId: "5c6a9a8e-3b7f-4c67-9a61-2f3f6d1f0001",
  instanceName: "instance-0000002a",
  number: 42,
  name: "vm1",
  hostname: "vm1",
  dhcpDomain: "novalocal",
  projectId: "p1",
  launchIndex: 0,
  availabilityZone: "nova",
  metadata: { role: "web" },
  keyName: "mykey",
  publicKey: "ssh-ed25519 AAAA me",
  keyType: "ssh",
  userData: Buffer.from([0x23, 0x21, 0xff, 0x0a]).toString("base64"),
  injectedFiles: [
    { path: "/etc/motd", contents: Buffer.from("hé\n").toString("base64") },
    { path: "/opt/bytes", contents: "/wAK\n" },
  ],
  imageId: "7a0f7d2e-0000-4000-8000-000000000000",
  kernelId: null,
  ramdiskId: null,
  flavorName: "m1.tiny",
  volumes: [],
  disks: [
    { name: "root", device: "vda" },
    { name: "ephemeral0", device: "vdb" },
    { name: "swap", device: "vdc" },
  ],
  reservationId: "r-1",
  securityGroups: ["default", "web"],
  randomSeed: "c2VlZA==",
  adminPassword: null,
  networks: [
    {
      portId: "11111111-2222-4333-8444-555555555555",
      macAddress: "fa:16:3e:00:00:01",
      mtu: 1442,
      networkId: "99999999-2222-4333-8444-555555555555",
      fixedIps: [
        {
          ipAddress: "192.0.2.7",
          ipVersion: 4,
          subnetId: "s1",
          cidr: "192.0.2.0/24",
          gatewayIp: "192.0.2.1",
          isDhcp: true,
          ipv6AddressMode: null,
          dnsNameservers: ["192.0.2.2"],
          hostRoutes: [],
          floatingIps: ["198.51.100.9"],
        },
      ],
    },
  ],
}
const read = (path: string) => answerMetadata(facts, path)?.body

test("the openstack tree lists its versions and files", () => {
  assert.ok(read("/openstack")?.split("\n").includes("latest"))
  assert.ok(read("/openstack/")?.split("\n").includes("2018-08-27"))
  const files = read("/openstack/latest/")?.split("\n") ?? []
  for (const name of [
    "meta_data.json",
    "network_data.json",
    "user_data",
    "vendor_data.json",
    "vendor_data2.json",
  ])
    assert.ok(files.includes(name), name)
  assert.ok(!read("/openstack/2012-08-10/")?.includes("network_data.json"))
  assert.equal(read("/openstack/2011-01-01/"), undefined)
})

test("meta_data.json has what cloud-init looks for", () => {
  const data = JSON.parse(read("/openstack/latest/meta_data.json") ?? "")
  assert.equal(data.uuid, facts.serverId)
  assert.equal(data.hostname, "vm1.novalocal")
  assert.deepEqual(data.public_keys, { mykey: "ssh-ed25519 AAAA me" })
  assert.deepEqual(data.keys, [{ name: "mykey", type: "ssh", data: "ssh-ed25519 AAAA me" }])
  assert.deepEqual(data.meta, { role: "web" })
  assert.equal(data.random_seed, "c2VlZA==")
})

test("user data come back byte by byte", () => {
  const answer = answerMetadata(facts, "/openstack/latest/user_data")
  assert.equal(answer?.contentType, "application/octet-stream")
  assert.deepEqual([...Buffer.from(answer?.body ?? "", "latin1")], [0x23, 0x21, 0xff, 0x0a])
  assert.equal(read("/latest/user-data"), answer?.body)
})

test("files of the request: what meta_data.json names is there, byte by byte, in the service and on the drive", () => {
  const drive = configDriveFiles(facts)
  for (const version of ["2012-08-10", "latest"]) {
    const { files } = JSON.parse(read(`/openstack/${version}/meta_data.json`) ?? "")
    assert.deepEqual(files, [
      { path: "/etc/motd", content_path: "/content/0000" },
      { path: "/opt/bytes", content_path: "/content/0001" },
    ])
  }
  const bytes = [[...Buffer.from("hé\n")], [0xff, 0x00, 0x0a]]
  for (const [index, expected] of bytes.entries()) {
    const path = `openstack/content/000${index}`
    const answer = answerMetadata(facts, `/${path}`)
    assert.equal(answer?.contentType, "application/octet-stream")
    assert.deepEqual([...Buffer.from(answer?.body ?? "", "latin1")], expected)
    assert.deepEqual([...Buffer.from(drive[path] ?? "", "base64")], expected)
  }
  for (const path of ["/openstack/content", "/openstack/content/0002", "/openstack/content/0000/x"])
    assert.equal(read(path), undefined, path)
  const none = { ...facts, injectedFiles: [] }
  assert.ok(!("files" in JSON.parse(openstackFiles(none, "latest")["meta_data.json"] ?? "")))
  assert.deepEqual(
    Object.keys(configDriveFiles(none)).filter((path) => path.includes("content")),
    [],
  )
})

test("a server without key and user data has neither", () => {
  const bare = { ...facts, keyName: null, publicKey: null, userData: null }
  assert.ok(!("user_data" in openstackFiles(bare, "latest")))
  assert.equal(answerMetadata(bare, "/latest/user-data"), undefined)
  assert.equal(answerMetadata(bare, "/latest/meta-data/public-keys/"), undefined)
})

test("the EC2 tree", () => {
  assert.equal(read("/latest/meta-data/instance-id"), "i-0000002a")
  assert.equal(read("/2009-04-04/meta-data/local-ipv4"), "192.0.2.7")
  assert.equal(read("/latest/meta-data/public-ipv4"), "198.51.100.9")
  assert.equal(read("/latest/meta-data/security-groups"), "default\nweb")
  assert.equal(read("/latest/meta-data/placement/availability-zone"), "nova")
  assert.equal(read("/latest/meta-data/public-keys/"), "0=mykey")
  assert.equal(read("/latest/meta-data/public-keys/0/"), "openssh-key")
  assert.equal(read("/latest/meta-data/public-keys/0/openssh-key"), "ssh-ed25519 AAAA me")
  assert.ok(read("/latest/meta-data/")?.split("\n").includes("placement/"))
  assert.ok(read("/")?.split("\n").includes("2009-04-04"))
  assert.equal(read("/latest/meta-data/block-device-mapping/"), "ami\nroot\nephemeral0\nswap")
  assert.equal(read("/latest/meta-data/block-device-mapping/ami"), "vda")
  assert.equal(read("/latest/meta-data/block-device-mapping/swap"), "/dev/vdc")
  assert.equal(read("/latest/meta-data/nothing"), undefined)
  assert.equal(read("/9999-01-01/meta-data/"), undefined)
})

test("network_data.json says what each interface is to do", () => {
  const dhcp = networkDataOf(facts.networks) as { links: object[]; networks: object[]; services: object[] }
  assert.deepEqual(dhcp.links, [
    {
      id: "tap11111111-22",
      vif_id: "11111111-2222-4333-8444-555555555555",
      type: "ovs",
      mtu: 1442,
      ethernet_mac_address: "fa:16:3e:00:00:01",
    },
  ])
  assert.deepEqual(dhcp.networks, [
    {
      id: "network0",
      link: "tap11111111-22",
      network_id: "99999999-2222-4333-8444-555555555555",
      type: "ipv4_dhcp",
    },
  ])
  assert.deepEqual(dhcp.services, [{ type: "dns", address: "192.0.2.2" }])
  const [network] = facts.networks
  const [ip] = network?.fixedIps ?? []
  assert.ok(network && ip)
  const fixed = networkDataOf([{ ...network, fixedIps: [{ ...ip, isDhcp: false }] }]) as {
    networks: Record<string, unknown>[]
  }
  assert.equal(fixed.networks[0]?.type, "ipv4")
  assert.equal(fixed.networks[0]?.netmask, "255.255.255.0")
  assert.deepEqual(fixed.networks[0]?.routes, [
    { network: "0.0.0.0", netmask: "0.0.0.0", gateway: "192.0.2.1" },
  ])
})

test("network_data.json in the words that cloud-init knows", () => {
  const [network] = facts.networks
  const [ip] = network?.fixedIps ?? []
  assert.ok(network && ip)
  const typesOf = (fixedIps: (typeof network)["fixedIps"]) => {
    const data = networkDataOf([{ ...network, fixedIps }]) as {
      networks: { type: string }[]
      links: object[]
    }
    return [data.links.length, ...data.networks.map((n) => n.type)]
  }
  const v6 = {
    ...ip,
    ipVersion: 6 as const,
    ipAddress: "2001:db8::7",
    cidr: "2001:db8::/64",
    gatewayIp: null,
  }
  assert.deepEqual(typesOf([{ ...v6, ipv6AddressMode: "slaac" }]), [1, "ipv6_slaac"])
  assert.deepEqual(typesOf([{ ...v6, ipv6AddressMode: "dhcpv6-stateful" }]), [1, "ipv6_dhcpv6-stateful"])
  assert.deepEqual(typesOf([{ ...v6, ipv6AddressMode: "dhcpv6-stateless" }]), [1, "ipv6_dhcpv6-stateless"])
  assert.deepEqual(typesOf([{ ...v6, isDhcp: true }]), [1, "ipv6_dhcp"])
  assert.deepEqual(typesOf([{ ...v6, isDhcp: false }]), [1, "ipv6"])
  // One DHCP client for two addresses; two fixed addresses are set both.
  assert.deepEqual(typesOf([ip, { ...ip, ipAddress: "192.0.2.8" }, v6]), [1, "ipv4_dhcp", "ipv6_dhcp"])
  const fixed = { ...ip, isDhcp: false }
  assert.deepEqual(typesOf([fixed, { ...fixed, ipAddress: "192.0.2.8" }]), [1, "ipv4", "ipv4"])
  assert.deepEqual(typesOf([]), [0])
})

test("netmasks", () => {
  assert.equal(netmaskOf(4, 20), "255.255.240.0")
  assert.equal(netmaskOf(4, 32), "255.255.255.255")
  assert.equal(netmaskOf(6, 64), "ffff:ffff:ffff:ffff::")
  assert.equal(netmaskOf(6, 128), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
  assert.equal(netmaskOf(6, 0), "::")
})

test("the config drive has the same files", () => {
  const files = configDriveFiles(facts)
  const text = (path: string) => Buffer.from(files[path] ?? "", "base64").toString("utf8")
  assert.equal(JSON.parse(text("openstack/latest/meta_data.json")).uuid, facts.serverId)
  assert.deepEqual(
    [...Buffer.from(files["openstack/latest/user_data"] ?? "", "base64")],
    [0x23, 0x21, 0xff, 0x0a],
  )
  const ec2 = JSON.parse(text("ec2/latest/meta-data.json"))
  assert.equal(ec2["instance-id"], "i-0000002a")
  assert.deepEqual(ec2["public-keys"], { "0": { _name: "0=mykey", "openssh-key": "ssh-ed25519 AAAA me" } })
  assert.deepEqual(ec2["security-groups"], ["default", "web"])
  assert.ok(!("openstack/latest/password" in files))
})

test("volumes are named to the guest, those with a tag by it", () => {
  const volumes = [
    { volumeId: "v1", device: "/dev/vda", isRoot: true, tag: null },
    { volumeId: "v2", device: "/dev/vdb", isRoot: false, tag: "logs" },
  ]
  const own = { ...facts, disks: [], volumes }
  const { "meta_data.json": text = "" } = openstackFiles(own, "latest")
  assert.deepEqual(JSON.parse(text).devices, [
    { type: "disk", bus: "none", address: "none", serial: "v2", path: "/dev/vdb", tags: ["logs"] },
  ])
  const at = (name: string) => readEc2(ec2Tree(own), ["meta-data", "block-device-mapping", name])
  assert.deepEqual(
    ["ami", "root", "ebs0", "ebs1"].map((name) => at(name)),
    ["vda", "/dev/vda", "/dev/vda", "/dev/vdb"],
  )
})
