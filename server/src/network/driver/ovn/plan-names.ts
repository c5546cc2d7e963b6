// Names of a network's ports in its row of DNS. Of ports with the same name one answers to it (WantPort.holdsName).
import { byUuid, type Mutation, type Row } from "../../../platform/ovsdb/index.ts"
import type { NetworkChange } from "../network-driver.ts"
import { type HaveIndex, mapOf, namesOf } from "./have-index.ts"
import type { PlanContext, Planner } from "./plan.ts"
import { type DesiredRow, idKey, ownerKey, ownerOf } from "./row.ts"
import { namesOfPort } from "./switch.ts"

interface Records {
  set: Map<string, string>
  away: Set<string>
}

/** Changes the rows that there are; what is returned is to be made. */
export function planNames(
  change: NetworkChange,
  index: HaveIndex,
  context: PlanContext,
  planner: Planner,
): DesiredRow[] {
  const rows: DesiredRow[] = []
  const changed = changedRecords(change, index, planner)
  for (const networkId of change.told.networks) if (!changed.has(networkId)) changed.set(networkId, nothing())
  const isTold = new Set(change.told.networks)
  const isThere = new Set(change.want.networks.map((network) => network.id))
  for (const [networkId, records] of changed) {
    const existing = index.get({ table: "DNS", id: networkId })
    if (!existing) {
      if (records.set.size > 0 && isThere.has(networkId)) rows.push(newRow(networkId, records))
      continue
    }
    const now = context.records(existing._uuid)
    const isGone = isTold.has(networkId) && !isThere.has(networkId)
    if (isTold.has(networkId)) dropUnclaimed(networkId, records, now, index)
    if (isGone || isEmptied(records, now)) planner.removeRow({ table: "DNS", id: networkId, row: existing })
    else patch(existing, records, now, planner)
  }
  return rows
}

const nothing = (): Records => ({ set: new Map(), away: new Set() })

function changedRecords(change: NetworkChange, index: HaveIndex, planner: Planner): Map<string, Records> {
  const changed = new Map<string, Records>()
  const of = (networkId: string): Records => {
    const records = changed.get(networkId) ?? nothing()
    changed.set(networkId, records)
    return records
  }
  const networks = new Map(change.want.networks.map((network) => [network.id, network]))
  const isTold = new Set(change.told.ports)
  const kept = new Map<string, Set<string>>()
  for (const port of change.want.ports) {
    const network = networks.get(port.networkId)
    if (!network || !isTold.has(port.id)) continue
    const [, ...names] = namesOfPort(port, network)
    kept.set(port.id, new Set(names.map((name) => `${network.id} ${name}`)))
    const ips = port.fixedIps.map((fixed) => fixed.ipAddress).join(" ")
    if (port.holdsName) for (const name of names) of(network.id).set.set(name, ips)
  }
  for (const portId of change.told.ports) {
    const existing = index.get({ table: "Logical_Switch_Port", id: portId })
    const [networkId = "", ...names] = existing ? namesOf(existing) : []
    for (const name of names) {
      if (kept.get(portId)?.has(`${networkId} ${name}`)) continue
      const heirs = [...index.portsNamed(networkId, name)].filter((id) => !isTold.has(id))
      for (const id of heirs) planner.followPort(id)
      if (heirs.length === 0) of(networkId).away.add(name)
    }
  }
  for (const { set, away } of changed.values()) for (const name of set.keys()) away.delete(name)
  return changed
}

/** What no port has, by our own notes: left by somebody's hand. */
function dropUnclaimed(
  networkId: string,
  records: Records,
  now: ReadonlyMap<string, unknown>,
  index: HaveIndex,
): void {
  for (const name of now.keys())
    if (!records.set.has(name) && index.portsNamed(networkId, name).size === 0) records.away.add(name)
}

function isEmptied({ set, away }: Records, now: ReadonlyMap<string, unknown>): boolean {
  if (set.size > 0) return false
  for (const name of now.keys()) if (!away.has(name)) return false
  return true
}

function patch(row: Row, records: Records, now: ReadonlyMap<string, unknown>, planner: Planner): void {
  const set = [...records.set].filter(([name, ips]) => now.get(name) !== ips)
  // A key that is there keeps its value in an insert.
  const away = [...records.away, ...set.map(([name]) => name)].filter((name) => now.has(name))
  const mutations: Mutation[] = []
  if (away.length > 0) mutations.push(["records", "deleteKeys", away])
  if (set.length > 0) mutations.push(["records", "insert", Object.fromEntries(set)])
  const ids = mapOf(row.external_ids)
  if (ids[ownerKey] === undefined)
    mutations.push(["external_ids", "insert", { [ownerKey]: ownerOf("names", String(ids[idKey])) }])
  if (mutations.length === 0) return
  planner.update({ op: "mutate", table: "DNS", where: byUuid(row._uuid), mutations }, row._uuid)
}

function newRow(networkId: string, { set }: Records): DesiredRow {
  return {
    table: "DNS",
    id: networkId,
    owner: ownerOf("names", networkId),
    columns: { records: Object.fromEntries(set) },
    places: [{ table: "Logical_Switch", id: networkId, column: "dns_records" }],
  }
}
