// Ports of the integration bridge that carry our mark. OVN's controller binds a port when an interface with its id
// in `iface-id` appears, and lets go of it when that row is gone.
import { byUuid, type Operation, OvsdbClient, type Row } from "../../platform/ovsdb/index.ts"

const tables = {
  Bridge: ["name", "ports"],
  Port: ["name", "interfaces"],
  Interface: ["name", "external_ids", "ofport", "error"],
}

/** What the port is for: the interface of a machine, or of a network's metadata service. */
export type PortUse = "vif" | "metadata"

const useKey = "kumoi:use"

export interface SwitchPort {
  /** The device's name in the cloud's namespace. */
  device: string
  portId: string
  macAddress: string
  use: PortUse
}

export interface SwitchPortsOptions {
  switchSocket: string
  integrationBridge: string
}

export class SwitchPorts {
  readonly #client: OvsdbClient
  readonly #bridge: string

  constructor({ switchSocket, integrationBridge }: SwitchPortsOptions) {
    this.#client = new OvsdbClient({ socketPath: switchSocket, database: "Open_vSwitch", tables })
    this.#bridge = integrationBridge
  }

  async close(): Promise<void> {
    await this.#client.close()
  }

  async attach(port: SwitchPort): Promise<void> {
    await this.#client.ready()
    const externalIds = {
      "iface-id": port.portId,
      "attached-mac": port.macAddress,
      "iface-status": "active",
      [useKey]: port.use,
    }
    const known = this.#row("Interface", port.device)
    if (known) {
      if (this.#row("Port", port.device) && sameIds(known, externalIds)) return
      await this.detach(port.device)
    }
    await this.#client.transact([
      {
        op: "insert",
        table: "Interface",
        row: { name: port.device, external_ids: externalIds },
        name: "interface",
      },
      {
        op: "insert",
        table: "Port",
        row: { name: port.device, interfaces: [{ named: "interface" }] },
        name: "port",
      },
      {
        op: "mutate",
        table: "Bridge",
        where: [["name", "==", this.#bridge]],
        mutations: [["ports", "insert", [{ named: "port" }]]],
      },
    ])
  }

  /** Succeeds when already gone. */
  async detach(device: string): Promise<void> {
    await this.#client.ready()
    const port = this.#row("Port", device)
    if (!port) return
    const operations: Operation[] = []
    for (const bridge of this.#client.table("Bridge").values())
      if (Array.isArray(bridge.ports) && bridge.ports.includes(port._uuid))
        operations.push({
          op: "mutate",
          table: "Bridge",
          where: byUuid(bridge._uuid),
          mutations: [["ports", "delete", [port._uuid]]],
        })
    await this.#client.transact(operations)
  }

  async list(use: PortUse): Promise<(SwitchPort & { isOpen: boolean })[]> {
    await this.#client.ready()
    const found: (SwitchPort & { isOpen: boolean })[] = []
    for (const row of this.#client.table("Interface").values()) {
      const ids = externalIdsOf(row)
      const portId = ids["iface-id"]
      if (ids[useKey] !== use || portId === undefined) continue
      // Of a device that somebody removed Open vSwitch says that it cannot open it.
      const isOpen = Array.isArray(row.ofport) && Number(row.ofport[0] ?? -1) > 0
      found.push({ device: String(row.name), portId, macAddress: ids["attached-mac"] ?? "", use, isOpen })
    }
    return found
  }

  #row(table: "Interface" | "Port", name: string): Row | undefined {
    return this.#client
      .table(table)
      .values()
      .find((row) => row.name === name)
  }
}

function sameIds(row: Row, wanted: Record<string, string>): boolean {
  const now = externalIdsOf(row)
  return Object.entries(wanted).every(([key, value]) => now[key] === value)
}

function externalIdsOf(row: Row): Record<string, string> {
  // A map of strings to strings by Open vSwitch's schema.
  return row.external_ids as Record<string, string>
}
