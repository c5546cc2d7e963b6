// Changes of ports at random, from a seed: what the drivers are tested with beside the sample.
import type { NetworkWant, WantPort } from "./network-driver.ts"
import { ports, sampleWant } from "./sample-want.ts"

export type Random = (below: number) => number

export function randomFrom(seed: number): Random {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

/** One to three ports of machines made, changed or taken away. Those of floating IPs stay as they are. */
export function changedSomePorts(want: NetworkWant, random: Random, round: number): NetworkWant {
  let list = want.ports
  for (let n = 0; n <= random(3); n++) {
    const vifs = list.filter((port) => port.kind === "vif" && port.id !== ports.a.id)
    const chosen = vifs[random(vifs.length)]
    const kind = chosen ? random(3) : 0
    if (kind === 0 || !chosen) list = [...list, newPort(random, round * 4 + n)]
    else if (kind === 1) list = list.filter((port) => port !== chosen)
    else list = list.map((port) => (port === chosen ? changedPort(port, random) : port))
  }
  return { ...want, ports: list }
}

function newPort(random: Random, n: number): WantPort {
  const like = random(2) === 0 ? ports.closed : ports.b
  const prefix = like === ports.b ? "10.0.2" : "10.0.1"
  return changedPort(
    {
      ...like,
      id: `00001000-0000-4000-8000-${String(n).padStart(12, "0")}`,
      name: `p${n}`,
      macAddress: `fa:16:3e:01:00:${n.toString(16).padStart(2, "0")}`,
      fixedIps: like.fixedIps.map((fixed) => ({ ...fixed, ipAddress: `${prefix}.${50 + n}` })),
    },
    random,
  )
}

function changedPort(port: WantPort, random: Random): WantPort {
  const groups = sampleWant.securityGroups.map((group) => group.id)
  return {
    ...port,
    name: `${port.name}x`,
    hostId: random(2) === 0 ? "host1" : null,
    adminStateUp: random(4) > 0,
    portSecurityEnabled: random(4) > 0,
    securityGroupIds: groups.filter(() => random(2) === 0),
    dnsName: random(3) === 0 ? null : `${port.id.slice(-4)}-${random(1_000_000)}`,
    extraDhcpOptions: random(3) === 0 ? [{ name: "tftp-server", value: "192.0.2.9", ipVersion: 4 }] : [],
    allowedAddressPairs: random(3) === 0 ? [{ ipAddress: "192.0.2.77", macAddress: port.macAddress }] : [],
  }
}
