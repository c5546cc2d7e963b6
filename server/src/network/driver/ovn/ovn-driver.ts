// The network driver on OVN: one transaction makes the northbound database what is wanted; ovn-northd and each
// host's ovn-controller do the rest. A lock keeps two writers of one cloud from planning on the same ground.

import { Fault } from "../../../platform/fault/fault.ts"
import { OvsdbClient, OvsdbError, OvsdbUnavailable, type Row } from "../../../platform/ovsdb/index.ts"
import type {
  ChangeReport,
  Gateway,
  NetworkChange,
  NetworkDriver,
  PortStateEvent,
  Told,
} from "../network-driver.ts"
import { told } from "../want.ts"
import { HaveIndex, mapOf } from "./have-index.ts"
import type { Plan, PlanContext } from "./plan.ts"
import { planChange, planGateways } from "./plan-change.ts"
import { cloudKey, idKey, managedTables, tableNames } from "./row.ts"

export interface OvnDriverOptions {
  northboundSocket: string
  cloudId: string
  /** Until `setGateways` says otherwise. */
  gateways: readonly Gateway[]
}

const columns = {
  Logical_Switch: [
    "name",
    "ports",
    "dns_records",
    "qos_rules",
    "load_balancer",
    "other_config",
    "external_ids",
  ],
  Logical_Switch_Port: [
    "name",
    "type",
    "addresses",
    "port_security",
    "enabled",
    "options",
    "tag",
    "up",
    "dhcpv4_options",
    "dhcpv6_options",
    "external_ids",
  ],
  Logical_Router: [
    "name",
    "enabled",
    "options",
    "ports",
    "nat",
    "static_routes",
    "load_balancer",
    "external_ids",
  ],
  Logical_Router_Port: [
    "name",
    "mac",
    "networks",
    "ipv6_ra_configs",
    "gateway_chassis",
    "ha_chassis_group",
    "external_ids",
  ],
  Gateway_Chassis: ["name", "chassis_name", "priority", "external_ids"],
  HA_Chassis_Group: ["name", "ha_chassis", "external_ids"],
  HA_Chassis: ["chassis_name", "priority", "external_ids"],
  Logical_Router_Static_Route: ["ip_prefix", "nexthop", "output_port", "external_ids"],
  NAT: ["type", "external_ip", "logical_ip", "external_mac", "logical_port", "external_ids"],
  QoS: ["priority", "direction", "match", "action", "bandwidth", "external_ids"],
  DHCP_Options: ["cidr", "options", "external_ids"],
  Port_Group: ["name", "ports", "acls", "external_ids"],
  ACL: ["direction", "priority", "action", "match", "external_ids"],
  Load_Balancer: ["name", "protocol", "vips", "external_ids"],
  DNS: ["records", "external_ids"],
} satisfies Record<keyof typeof managedTables, string[]>

/** What lists other rows may list thousands, and so may the names of a network. */
const longColumns = Object.fromEntries(
  tableNames.map((table) => [table, table === "DNS" ? ["records"] : managedTables[table].lists]),
)

const connectTimeoutMs = 10_000
/** What is missing may stand on something that is missing too: a port's network, its group. */
const readsMost = 4

export class OvnDriver implements NetworkDriver {
  readonly name = "ovn"
  readonly #options: OvnDriverOptions
  readonly #client: OvsdbClient
  #turn: Promise<unknown> = Promise.resolve()
  #gateways: readonly Gateway[]
  readonly #index: HaveIndex

  constructor(options: OvnDriverOptions) {
    this.#options = options
    this.#gateways = options.gateways
    this.#client = new OvsdbClient({
      socketPath: options.northboundSocket,
      database: "OVN_Northbound",
      tables: columns,
      longColumns,
    })
    const index = new HaveIndex(options.cloudId)
    this.#index = index
    this.#client.onChange((changes) => index.apply(changes))
  }

  /** Calls wait for each other: each plans on what the one before has written. */
  async change(read: (also: Partial<Told>) => Promise<NetworkChange>): Promise<ChangeReport> {
    return await this.#inTurn(() => this.#plan(read))
  }

  async setGateways(gateways: readonly Gateway[]): Promise<void> {
    // Kept in any case: what is told next stands on it.
    this.#gateways = gateways
    await this.#inTurn(async () => {
      const planned = planGateways(this.#index, this.#context())
      if ("missing" in planned) throw new Error("groups of hosts stand on nothing")
      return planned
    })
  }

  async #inTurn(plan: () => Promise<Plan>): Promise<ChangeReport> {
    const turn = this.#turn.then(() => this.#carryOut(plan))
    this.#turn = turn.catch(() => {})
    return await turn
  }

  async #carryOut(plan: () => Promise<Plan>): Promise<ChangeReport> {
    try {
      await this.#client.ready(connectTimeoutMs)
      return await this.#client.withLock(
        `kumoi_${this.#options.cloudId}`,
        connectTimeoutMs,
        async (assertLock) => {
          const { operations, report, follow } = await plan()
          if (operations.length > 0) await this.#client.transact([assertLock, ...operations])
          return { ...report, follow }
        },
      )
    } catch (error) {
      throw toNetworkFault(error)
    }
  }

  async #plan(read: (also: Partial<Told>) => Promise<NetworkChange>): Promise<Plan> {
    let also: Partial<Told> = {}
    for (let n = 0; n < readsMost; n++) {
      const change = await read(also)
      const planned = planChange(change, this.#index, this.#context())
      if (!("missing" in planned)) return planned
      also = merge(also, planned.missing)
    }
    throw new Error(`the network's rows stand on others that are not there: ${JSON.stringify(also)}`)
  }

  #context(): PlanContext {
    return {
      cloudId: this.#options.cloudId,
      gateways: this.#gateways,
      records: (uuid: string) => {
        const records = this.#client.long("DNS", uuid, "records")
        return records instanceof Map ? records : new Map()
      },
    }
  }

  async known(): Promise<Told> {
    await this.#client.ready(connectTimeoutMs)
    const owners = [...this.#index.owners()]
    const of = (noun: string) => owners.filter((owner) => owner.startsWith(`${noun}:`))
    return told((noun) => of(noun).map((owner) => owner.slice(noun.length + 1)))
  }

  async *portStates(signal: AbortSignal): AsyncIterable<PortStateEvent> {
    const told = new Map<string, boolean>()
    // Listening begins before the first look, so nothing falls between the two.
    const changes = this.#client.changes(signal)
    const next = changes.next()
    await this.#client.ready(connectTimeoutMs)
    for (const row of this.#client.table("Logical_Switch_Port").values()) yield* this.#portState(row, told)
    for (let batch = await next; !batch.done; batch = await changes.next())
      for (const change of batch.value) {
        if (change.table !== "Logical_Switch_Port") continue
        if (change.after) yield* this.#portState(change.after, told)
        else if (change.before) told.delete(String(mapOf(change.before.external_ids)[idKey]))
      }
  }

  *#portState(row: Row, told: Map<string, boolean>): Generator<PortStateEvent> {
    const ids = mapOf(row.external_ids)
    const portId = ids[idKey]
    if (typeof portId !== "string" || ids[cloudKey] !== this.#options.cloudId) return
    if (row.type !== "" && row.type !== "virtual") return
    const state = { portId, isUp: isUp(row) }
    if (told.get(portId) === state.isUp) return
    told.set(portId, state.isUp)
    yield state
  }

  isPortUp(portId: string): boolean {
    const row = this.#index.get({ table: "Logical_Switch_Port", id: portId })
    return row !== undefined && isUp(row)
  }

  async health(): Promise<string | undefined> {
    return this.#client.problem
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.close()
  }
}

function isUp({ up }: Row): boolean {
  return Array.isArray(up) && up[0] === true
}

function merge(one: Partial<Told>, other: Partial<Told>): Partial<Told> {
  return told((noun) => [...(one[noun] ?? []), ...(other[noun] ?? [])])
}

function toNetworkFault(error: unknown): unknown {
  const message = "The network engine does not answer; it is tried again."
  const isPassing =
    error instanceof OvsdbUnavailable || (error instanceof OvsdbError && error.error === "not owner")
  if (!isPassing) return error
  return new Fault("unavailable", "network.engine.unavailable", message, {
    cause: error,
    retryAfterMs: 1_000,
  })
}
