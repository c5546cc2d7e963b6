// Networks at random, from a seed, and the way from one to another by what differs: what the drivers are tested with
// beside the sample.
import type {
  Follow,
  NetworkDriver,
  NetworkWant,
  ReconcileReport,
  Told,
  WantPort,
  WantQos,
} from "../network-driver.ts"
import { isNothing, nouns, told } from "../want.ts"
import { ports, sampleWant } from "./sample-want.ts"

export type Random = (below: number) => number

export function randomFrom(seed: number): Random {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const madePortsMost = 12

/** Any part of the sample with more ports, everything changed a little; whatever stands on another has it. */
export function randomWant(random: Random): NetworkWant {
  const want = structuredClone(sampleWant)
  const some = <T>(list: readonly T[], of10 = 7): T[] => list.filter(() => random(10) < of10)
  want.networks = some(want.networks, 8)
  for (const network of want.networks) {
    network.adminStateUp = random(5) > 0
    network.mtu -= random(2) * 100
    if (random(3) === 0) network.dnsDomain = random(2) === 0 ? null : "Other.example."
  }
  const known = new Set(want.networks.map((network) => network.id))
  want.subnets = some(want.subnets, 8).filter((subnet) => known.has(subnet.networkId))
  const subnets = new Set(want.subnets.map((subnet) => subnet.id))
  for (const subnet of want.subnets) {
    subnet.enableDhcp = random(4) > 0
    if (random(3) === 0) subnet.dnsNameservers = ["192.0.2.54"]
    if (subnet.ipVersion === 6 && random(2) === 0)
      Object.assign(subnet, { ipv6AddressMode: "dhcpv6-stateful", ipv6RaMode: "dhcpv6-stateful" })
  }
  want.securityGroups = some(want.securityGroups)
  const groups = new Set(want.securityGroups.map((group) => group.id))
  for (const group of want.securityGroups) {
    group.rules = some(group.rules).filter((rule) => !rule.remoteGroupId || groups.has(rule.remoteGroupId))
    group.isStateful = random(4) > 0
  }
  for (let n = 0; n < random(madePortsMost); n++) want.ports.push(madePort(random, n))
  want.ports = some(want.ports).filter((port) => known.has(port.networkId))
  for (const port of want.ports) {
    port.fixedIps = port.fixedIps.filter((fixed) => subnets.has(fixed.subnetId))
    if (port.kind === "vif") changePort(port, random, [...groups])
  }
  linkPorts(want.ports, random)
  changeRouters(want, random)
  changeQos(want)
  return want
}

function madePort(random: Random, n: number): WantPort {
  const like = random(2) === 0 ? ports.closed : ports.b
  const prefix = like === ports.b ? "10.0.2" : "10.0.1"
  return {
    ...structuredClone(like),
    id: `00001000-0000-4000-8000-${String(n).padStart(12, "0")}`,
    name: `p${n}`,
    macAddress: `fa:16:3e:01:00:${n.toString(16).padStart(2, "0")}`,
    fixedIps: like.fixedIps.map((fixed) => ({ ...fixed, ipAddress: `${prefix}.${50 + n}` })),
  }
}

function changePort(port: WantPort, random: Random, groups: readonly string[]): void {
  port.hostId = random(2) === 0 ? "host1" : null
  port.adminStateUp = random(4) > 0
  port.portSecurityEnabled = random(4) > 0
  port.securityGroupIds = groups.filter(() => random(2) === 0)
  // Few names, so that several ports have the same.
  port.dnsName = random(3) === 0 ? null : `Name${random(6)}`
  port.extraDhcpOptions = random(3) === 0 ? [{ name: "tftp-server", value: "192.0.2.9", ipVersion: 4 }] : []
  port.allowedAddressPairs =
    random(3) === 0 ? [{ ipAddress: "192.0.2.77", macAddress: "fa:16:3e:99:99:99" }] : []
}

/** Of what else there is, so that it takes nothing from the same seed's networks. */
function changeQos(want: NetworkWant): void {
  const random = randomFrom(want.networks.reduce((sum, { mtu }) => sum + mtu, want.ports.length))
  const gateways = want.routers.flatMap(({ gateway }) => gateway ?? [])
  const machines = want.ports.filter(({ kind }) => kind === "vif")
  for (const each of [...machines, ...gateways, ...want.floatingIps]) each.qos = someQos(random)
}

function someQos(random: Random): WantQos | null {
  const limit = () =>
    random(2) === 0 ? { maxKbps: 1000 + random(2), maxBurstKbits: random(2) === 0 ? 800 : null } : null
  return random(2) === 0 ? { egress: limit(), ingress: limit(), dscpMark: random(2) === 0 ? 26 : null } : null
}

/** Names and shared addresses, as the service finds them among the rows. */
function linkPorts(list: readonly WantPort[], random: Random): void {
  for (const port of list) {
    const peers = list.filter((other) => other.networkId === port.networkId && other !== port)
    const name = port.dnsName?.toLowerCase()
    port.holdsName = !peers.some(
      (other) => other.dnsName?.toLowerCase() === name && other.fixedIps.length > 0 && other.id > port.id,
    )
    const [address] = port.fixedIps
    const parentIds = peers.filter((other) => other.kind === "vif").map((other) => other.id)
    const isVirtual = port.kind === "vif" && port.hostId === null && random(3) === 0
    port.virtual =
      isVirtual && address && parentIds.length > 0
        ? { ipAddress: address.ipAddress, parentIds: parentIds.sort() }
        : null
  }
}

function changeRouters(want: NetworkWant, random: Random): void {
  const known = new Set(want.networks.map((network) => network.id))
  want.routers = want.routers.filter(() => random(10) < 8)
  for (const router of want.routers) {
    router.interfaces = router.interfaces.filter((port) => known.has(port.networkId) && random(10) < 7)
    if (random(10) < 3 || !known.has(router.gateway?.networkId ?? "")) router.gateway = null
    router.enableSnat = random(2) === 0
    if (random(2) === 0) router.routes = [{ destination: "10.9.0.0/16", nexthop: "10.0.1.10" }]
  }
  const isOut = want.routers.some((router) => router.gateway)
  want.floatingIps = isOut ? want.floatingIps.filter(() => random(10) < 7) : []
  want.portForwardings = isOut ? want.portForwardings.filter(() => random(10) < 7) : []
  for (const forwarding of want.portForwardings) {
    forwarding.networkIds = forwarding.networkIds.filter((id) => known.has(id) && random(2) === 0)
    if (random(2) === 0) forwarding.externalPorts = { first: 7000, last: 7000 + random(3) }
    forwarding.internalIpAddress = `10.0.2.${10 + random(3)}`
  }
}

/** Some small part of the network changed: the rest is as it was. */
export function changedALittle(want: NetworkWant, random: Random): NetworkWant {
  const other = randomWant(random)
  const noun = nouns[random(nouns.length)] ?? "ports"
  const mixed = { ...want, [noun]: other[noun] }
  return isWhole(mixed) ? mixed : other
}

/** Nothing stands on what is not there. */
function isWhole(want: NetworkWant): boolean {
  const has = (noun: keyof NetworkWant) => new Set(want[noun].map((thing) => thing.id))
  const [networks, subnets, groups, routers] = [
    has("networks"),
    has("subnets"),
    has("securityGroups"),
    has("routers"),
  ]
  const stands = [...want.ports, ...want.routers.flatMap((router) => router.interfaces)]
  return (
    [...want.subnets, ...stands].every((thing) => networks.has(thing.networkId)) &&
    stands.every((port) => port.fixedIps.every((fixed) => subnets.has(fixed.subnetId))) &&
    want.ports.every((port) => port.securityGroupIds.every((id) => groups.has(id))) &&
    want.routers.every((router) => networks.has(router.gateway?.networkId ?? "") || !router.gateway) &&
    want.floatingIps.every((each) => routers.has(each.routerId) && networks.has(each.networkId)) &&
    want.portForwardings.every(
      (forwarding) =>
        routers.has(forwarding.routerId) && forwarding.networkIds.every((id) => networks.has(id)),
    ) &&
    want.securityGroups.every((group) =>
      group.rules.every((rule) => !rule.remoteGroupId || groups.has(rule.remoteGroupId)),
    )
  )
}

/** Tells what differs in small parts, in any order, and what the engine says follows. */
export async function tellDifferences(
  driver: NetworkDriver,
  before: NetworkWant,
  after: NetworkWant,
  random: Random,
): Promise<ReconcileReport> {
  const sum = { created: 0, updated: 0, removed: 0 }
  const queue = shuffled(differing(before, after), random)
  while (queue.length > 0) {
    const part = queue.splice(0, 1 + random(3))
    const ids = told((noun) => part.filter((each) => each.noun === noun).map((each) => each.id))
    const { follow, ...report } = await driver.change(async (also) => ({
      told: told((noun) => [...ids[noun], ...(also[noun] ?? [])]),
      want: after,
    }))
    for (const key of ["created", "updated", "removed"] as const) sum[key] += report[key]
    const more = following(follow, after)
    if (!isNothing(more)) queue.push(...entriesOf(more))
  }
  return sum
}

interface Entry {
  noun: keyof Told
  id: string
}

const entriesOf = (ids: Told): Entry[] => nouns.flatMap((noun) => ids[noun].map((id) => ({ noun, id })))

function differing(before: NetworkWant, after: NetworkWant): Entry[] {
  const changed = told((noun) => {
    const texts = (want: NetworkWant) => new Map(want[noun].map((each) => [each.id, JSON.stringify(each)]))
    const [was, is] = [texts(before), texts(after)]
    return [...new Set([...was.keys(), ...is.keys()])].filter((id) => was.get(id) !== is.get(id))
  })
  // Subnets are in the advertisements of their routers: the service tells both.
  const isChanged = new Set(changed.subnets)
  const routers = after.routers.filter((router) =>
    router.interfaces.some((port) => port.fixedIps.some((fixed) => isChanged.has(fixed.subnetId))),
  )
  const also = routers.map((router) => router.id)
  return entriesOf(told((noun) => (noun === "routers" ? [...changed.routers, ...also] : changed[noun])))
}

function following(follow: Follow, want: NetworkWant): Told {
  const subnets = new Set(follow.portsOfSubnets)
  const networks = new Set(follow.ofNetworks)
  const found = {
    ports: want.ports.filter(
      (port) => networks.has(port.networkId) || port.fixedIps.some((fixed) => subnets.has(fixed.subnetId)),
    ),
    subnets: want.subnets.filter((subnet) => networks.has(subnet.networkId)),
    routers: want.routers.filter((router) => router.interfaces.some((port) => networks.has(port.networkId))),
  }
  const ids: Partial<Record<keyof Told, readonly { id: string }[]>> = found
  return told((noun) => [
    ...(noun === "ports" ? follow.ports : []),
    ...(ids[noun] ?? []).map((thing) => thing.id),
  ])
}

function shuffled<T>(list: readonly T[], random: Random): T[] {
  const rest = [...list]
  return list.flatMap(() => rest.splice(random(rest.length), 1))
}
