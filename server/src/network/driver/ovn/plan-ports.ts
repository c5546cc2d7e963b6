// The operations for some ports of machines: their own rows, and their places in the rows of others (the network's
// switch and names, the security groups). Those are changed by their difference, so that a network of thousands is
// not written anew for one port. Pure. Null where that is not all, and everything must be looked at.
import {
  type Atom,
  byUuid,
  type Mutation,
  type NamedRow,
  type Operation,
  type Row,
} from "../../../platform/ovsdb/index.ts"
import type { PortsChange, WantPort } from "../network-driver.ts"
import { domainName } from "./dhcp.ts"
import type { HaveIndex } from "./have-index.ts"
import { change, insert, mapOf, ownId, type Plan } from "./plan.ts"
import type { DesiredRow, TableName } from "./row.ts"
import { portRecords, portRows } from "./switch.ts"

/** Changes of a set or map column that several ports have a part in. */
interface Shares {
  row: Row
  table: TableName
  column: string
  away: string[]
  added: (string | NamedRow)[]
  records: Record<string, string>
}

export function planPorts(wanted: PortsChange, index: HaveIndex, cloudId: string): Plan | null {
  const planner = new Planner(wanted, index, cloudId)
  for (const port of wanted.ports) if (!planner.make(port)) return null
  for (const port of wanted.gone) if (!planner.remove(port)) return null
  return planner.plan()
}

class Planner {
  readonly #index: HaveIndex
  readonly #cloudId: string
  readonly #networks: ReadonlyMap<string, PortsChange["networks"][number]>
  readonly #subnets: ReadonlyMap<string, PortsChange["subnets"][number]>
  readonly #operations: Operation[] = []
  readonly #shares = new Map<string, Shares>()
  readonly #report = { created: 0, updated: 0, removed: 0 }
  readonly #gone = new Set<Atom>()
  #names = 0

  constructor({ networks, subnets }: PortsChange, index: HaveIndex, cloudId: string) {
    this.#index = index
    this.#cloudId = cloudId
    this.#networks = new Map(networks.map((network) => [network.id, network]))
    this.#subnets = new Map(subnets.map((subnet) => [subnet.id, subnet]))
  }

  make(port: WantPort): boolean {
    const network = this.#networks.get(port.networkId)
    const home = this.#index.get("Logical_Switch", port.networkId)
    const existing = this.#index.get("Logical_Switch_Port", port.id)
    if (port.kind !== "vif" || !network || !home || (existing && !isOfMachine(existing))) return false
    const own = portRows(port, network, this.#subnets)
    const named = new Map<string, NamedRow>()
    const resolve = (table: TableName, id: string) => this.#index.get(table, id)?._uuid ?? named.get(id)
    if (existing) this.#dropDhcp(existing, port.id, new Set(own.others.map((row) => row.id)))
    for (const row of own.others) named.set(row.id, this.#write(row, resolve))
    const written = this.#write(own.port, resolve)
    if (!existing) this.#share("Logical_Switch", home, "ports").added.push(written)
    return this.#joinGroups(port, existing, written) && this.#name(port, existing, domainName(network))
  }

  remove({ id, networkId }: { id: string; networkId: string }): boolean {
    const existing = this.#index.get("Logical_Switch_Port", id)
    if (!existing) return true
    const home = this.#index.get("Logical_Switch", networkId)
    if (!isOfMachine(existing) || !home) return false
    this.#dropDhcp(existing, id, new Set())
    // The row goes with the last reference to it, and with the row its places in the groups.
    this.#share("Logical_Switch", home, "ports").away.push(existing._uuid)
    this.#gone.add(existing._uuid)
    this.#report.removed += 1
    const names = this.#index.get("DNS", networkId)
    if (names) this.#share("DNS", names, "records").away.push(...namesOf(names, addressesOf(existing)))
    return true
  }

  plan(): Plan | null {
    if (this.#emptiesRow()) return null
    for (const { row, table, column, away, added, records } of this.#shares.values()) {
      const mutations: Mutation[] = []
      const isMap = column === "records"
      if (away.length > 0) mutations.push(isMap ? [column, "deleteKeys", away] : [column, "delete", away])
      if (added.length > 0) mutations.push([column, "insert", added])
      if (Object.keys(records).length > 0) mutations.push([column, "insert", records])
      if (mutations.length === 0) continue
      this.#report.updated += 1
      this.#operations.push({ op: "mutate", table, where: byUuid(row._uuid), mutations })
    }
    return { operations: this.#operations, report: this.#report }
  }

  #write(
    row: DesiredRow,
    resolve: (table: TableName, id: string) => string | NamedRow | undefined,
  ): NamedRow {
    const existing = this.#index.get(row.table, row.id)
    const name = { named: `row${this.#names++}` }
    if (!existing) {
      this.#operations.push(insert(row, name, resolve, this.#cloudId))
      this.#report.created += 1
      return name
    }
    const operations = change(row, existing, this.#index.ours, resolve, this.#cloudId)
    if (operations.length > 0) this.#report.updated += 1
    this.#operations.push(...operations)
    return name
  }

  /** Rows that stand for nothing any more are taken away when everything is looked at. */
  #emptiesRow(): boolean {
    const drop = this.#index.get("Port_Group", "drop")
    const share = drop && this.#shares.get(drop._uuid)
    const isLeft = (uuid: Atom) => !this.#gone.has(uuid) && !share?.away.includes(String(uuid))
    if (drop && !share?.added.length && !setOf(drop.ports).some(isLeft)) return true
    for (const { row, table, away, records } of this.#shares.values()) {
      if (table !== "DNS" || Object.keys(records).length > 0) continue
      if (Object.keys(mapOf(row.records)).every((name) => away.includes(name))) return true
    }
    return false
  }

  /** DHCP rows of the port's own that it has no use for any more; they do not go by themselves. */
  #dropDhcp(existing: Row, portId: string, kept: ReadonlySet<string>): void {
    for (const column of ["dhcpv4_options", "dhcpv6_options"])
      for (const uuid of setOf(existing[column])) {
        const row = this.#rowOf("DHCP_Options", uuid)
        const id = row && ownId(row, this.#cloudId)
        if (!row || !id?.endsWith(`-${portId}`) || kept.has(id)) continue
        this.#operations.push({ op: "delete", table: "DHCP_Options", where: byUuid(row._uuid) })
      }
  }

  #rowOf(table: TableName, uuid: Atom): Row | undefined {
    for (const [, row] of this.#index.all(table)) if (row._uuid === uuid) return row
    return undefined
  }

  #joinGroups(port: WantPort, existing: Row | undefined, written: NamedRow): boolean {
    const wanted = new Set(port.portSecurityEnabled ? ["drop", ...port.securityGroupIds] : [])
    for (const id of wanted) {
      const group = this.#index.get("Port_Group", id)
      if (!group) return false
      const isIn = existing !== undefined && setOf(group.ports).includes(existing._uuid)
      if (!isIn) this.#share("Port_Group", group, "ports").added.push(existing?._uuid ?? written)
    }
    if (!existing) return true
    for (const [id, group] of this.#index.all("Port_Group"))
      if (!wanted.has(id) && setOf(group.ports).includes(existing._uuid))
        this.#share("Port_Group", group, "ports").away.push(existing._uuid)
    return true
  }

  /** False when another port has the name: which of them answers to it is decided by looking at all. */
  #name(port: WantPort, existing: Row | undefined, domain: string | undefined): boolean {
    const target = portRecords(port, domain?.toLowerCase())
    const row = this.#index.get("DNS", port.networkId)
    if (!row) return Object.keys(target).length === 0
    const records = mapOf(row.records)
    const old = existing ? namesOf(row, addressesOf(existing)) : []
    const share = this.#share("DNS", row, "records")
    share.away.push(...old.filter((name) => target[name] !== records[name]))
    for (const [name, ips] of Object.entries(target)) {
      if (records[name] === ips) continue
      if ((records[name] !== undefined && !old.includes(name)) || share.records[name] !== undefined)
        return false
      share.records[name] = ips
    }
    return true
  }

  #share(table: TableName, row: Row, column: string): Shares {
    let share = this.#shares.get(row._uuid)
    if (!share) {
      share = { row, table, column, away: [], added: [], records: {} }
      this.#shares.set(row._uuid, share)
    }
    return share
  }
}

/** Not a router's, a network's or a metadata port. */
function isOfMachine(row: Row): boolean {
  return row.type === ""
}

function setOf(value: Row[string] | undefined): readonly Atom[] {
  return Array.isArray(value) ? value : value === undefined || typeof value === "object" ? [] : [value]
}

/** The port's own addresses, as its DNS records have them: what follows the MAC address in the first entry. */
function addressesOf(row: Row): string {
  return String(setOf(row.addresses)[0] ?? "")
    .split(" ")
    .slice(1)
    .join(" ")
}

function namesOf(row: Row, addresses: string): string[] {
  if (addresses === "") return []
  const records = Object.entries(mapOf(row.records))
  return records.filter(([, ips]) => ips === addresses).map(([name]) => name)
}
