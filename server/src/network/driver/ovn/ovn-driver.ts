// The network driver on OVN: one transaction makes the northbound database what is wanted; ovn-northd and each
// host's ovn-controller do the rest. A lock keeps two writers of one cloud from planning on the same ground.

import { Fault } from "../../../platform/fault/fault.ts"
import { OvsdbClient, OvsdbError, OvsdbUnavailable, type Row } from "../../../platform/ovsdb/index.ts"
import type {
  NetworkDriver,
  NetworkWant,
  PortStateEvent,
  PortsChange,
  ReconcileReport,
} from "../network-driver.ts"
import { HaveIndex } from "./have-index.ts"
import { type HaveRows, mapOf, type Plan, plan } from "./plan.ts"
import { planPorts } from "./plan-ports.ts"
import { cloudKey, idKey, type managedTables, tableNames } from "./row.ts"
import { translate } from "./translate.ts"

export interface OvnDriverOptions {
  northboundSocket: string
  cloudId: string
  /** Hosts that reach the external networks, best first. */
  gatewayChassis: readonly string[]
}

const columns = {
  Logical_Switch: ["name", "ports", "dns_records", "other_config", "external_ids"],
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
  Logical_Router: ["name", "enabled", "options", "ports", "nat", "static_routes", "external_ids"],
  Logical_Router_Port: ["name", "mac", "networks", "ipv6_ra_configs", "gateway_chassis", "external_ids"],
  Gateway_Chassis: ["name", "chassis_name", "priority", "external_ids"],
  Logical_Router_Static_Route: ["ip_prefix", "nexthop", "output_port", "external_ids"],
  NAT: ["type", "external_ip", "logical_ip", "external_ids"],
  DHCP_Options: ["cidr", "options", "external_ids"],
  Port_Group: ["name", "ports", "acls", "external_ids"],
  ACL: ["direction", "priority", "action", "match", "external_ids"],
  DNS: ["records", "external_ids"],
} satisfies Record<keyof typeof managedTables, string[]>

const connectTimeoutMs = 10_000

export class OvnDriver implements NetworkDriver {
  readonly name = "ovn"
  readonly #options: OvnDriverOptions
  readonly #client: OvsdbClient
  #turn: Promise<unknown> = Promise.resolve()
  #index: HaveIndex | undefined

  constructor(options: OvnDriverOptions) {
    this.#options = options
    this.#client = new OvsdbClient({
      socketPath: options.northboundSocket,
      database: "OVN_Northbound",
      tables: columns,
    })
  }

  /** Calls wait for each other: each plans on what the one before has written. */
  async reconcile(want: NetworkWant): Promise<ReconcileReport> {
    const { cloudId } = this.#options
    return await this.#inTurn<never>(() => plan(translate(want, this.#options), this.#have(), cloudId))
  }

  async changePorts(change: PortsChange): Promise<ReconcileReport | null> {
    return await this.#inTurn<null>(() => planPorts(change, this.#indexed(), this.#options.cloudId))
  }

  async #inTurn<N extends null = never>(planNow: () => Plan | N): Promise<ReconcileReport | N> {
    const turn = this.#turn.then(() => this.#carryOut(planNow))
    this.#turn = turn.catch(() => {})
    return await turn
  }

  async #carryOut<N extends null>(planNow: () => Plan | N): Promise<ReconcileReport | N> {
    const { cloudId } = this.#options
    try {
      await this.#client.ready(connectTimeoutMs)
      return await this.#client.withLock(`kumoi_${cloudId}`, connectTimeoutMs, async (assertLock) => {
        const planned = planNow()
        if (planned === null) return planned
        const { operations, report } = planned
        if (operations.length > 0) await this.#client.transact([assertLock, ...operations])
        return report
      })
    } catch (error) {
      throw toNetworkFault(error)
    }
  }

  /** Made at the first small change, kept up from then on. */
  #indexed(): HaveIndex {
    if (!this.#index) {
      const index = new HaveIndex(this.#have(), this.#options.cloudId)
      this.#client.onChange((changes) => index.apply(changes))
      this.#index = index
    }
    return this.#index
  }

  #have(): HaveRows {
    return Object.fromEntries(tableNames.map((name) => [name, this.#client.table(name)])) as HaveRows // all names
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
    if (typeof portId !== "string" || ids[cloudKey] !== this.#options.cloudId || row.type !== "") return
    const isUp = Array.isArray(row.up) && row.up[0] === true
    if (told.get(portId) === isUp) return
    told.set(portId, isUp)
    yield { portId, isUp }
  }

  async health(): Promise<string | undefined> {
    return this.#client.problem
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.close()
  }
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
