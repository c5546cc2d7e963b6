// Opens the southbound database to other hosts. Who may come in by which certificate stands in rows of the database
// itself: so it needs no restart, and holds over one. A host gets OVN's role `ovn-controller`, and the database knows
// it by the name in its certificate: it writes the rows of its own name, and of those that hosts share what a host has
// to say (which ports are with it). Files of certificates are read again when they change.
import { eventually } from "../../platform/clock/clock.ts"
import { fault } from "../../platform/fault/fault.ts"
import { byUuid, type Operation, OvsdbClient, type Row } from "../../platform/ovsdb/index.ts"
import type { OvnPaths, SouthboundAddress } from "./ovn-paths.ts"
import { probeIntervalMs } from "./ovn-switch.ts"

const notListening = fault(
  "conflict",
  "network.southbound.not_listening",
  (address: string, port: number) =>
    `The network's database does not listen on ${address}, port ${port}: the address is not here, or the port is in use.`,
)

const listenTimeoutMs = 10_000

/** May be repeated; what was opened before under another address or certificate is closed. */
export async function openSouthbound(paths: OvnPaths, at: SouthboundAddress): Promise<void> {
  const target = `pssl:${at.port}:${at.address}`
  await withSouthbound(paths, async (client) => {
    const global = onlyRow(client)
    await client.transact(opening(global._uuid, target, at))
    const isListening = () => {
      const [row] = [...client.table("Connection").values()].filter((each) => each.target === target)
      const status = row?.status
      return typeof status === "object" && "bound_port" in status && status.bound_port === String(at.port)
    }
    await eventually("the database to listen", isListening, { timeoutMs: listenTimeoutMs }).catch(() => {
      throw notListening(at.address, at.port)
    })
  })
}

function opening(global: string, target: string, { tls }: SouthboundAddress): Operation[] {
  return [
    {
      op: "insert",
      table: "Connection",
      name: "connection",
      row: { target, role: "ovn-controller", inactivity_probe: [probeIntervalMs] },
    },
    {
      op: "insert",
      table: "SSL",
      name: "ssl",
      row: {
        private_key: tls.keyFile,
        certificate: tls.certFile,
        ca_cert: tls.caFile,
        ssl_protocols: "TLSv1.2",
      },
    },
    {
      op: "update",
      table: "SB_Global",
      where: byUuid(global),
      row: { connections: [{ named: "connection" }], ssl: [{ named: "ssl" }] },
    },
  ]
}

/** Hosts that are connected are cut off. */
export async function closeSouthbound(paths: OvnPaths): Promise<void> {
  await withSouthbound(paths, async (client) => {
    const row = { connections: [], ssl: [] }
    await client.transact([{ op: "update", table: "SB_Global", where: byUuid(onlyRow(client)._uuid), row }])
  })
}

/**
 * Removes a host that is gone and did not say so. Until then its address is taken: one that comes back under another
 * name is refused it.
 */
export async function forgetChassis(paths: OvnPaths, chassis: string): Promise<void> {
  await withSouthbound(paths, async (client) => {
    const where = [["name", "==", chassis]] as const
    await client.transact([
      { op: "delete", table: "Chassis_Private", where },
      { op: "delete", table: "Chassis", where },
    ])
  })
}

function onlyRow(client: OvsdbClient): Row {
  const [row] = client.table("SB_Global").values()
  if (!row) throw new Error("the southbound database has no SB_Global: ovn-northd makes it when it starts")
  return row
}

async function withSouthbound(paths: OvnPaths, work: (client: OvsdbClient) => Promise<void>): Promise<void> {
  const client = new OvsdbClient({
    socketPath: paths.southboundSocket,
    database: "OVN_Southbound",
    tables: { SB_Global: ["connections", "ssl"], Connection: ["target", "status"] },
  })
  try {
    await client.ready()
    await work(client)
  } finally {
    await client.close()
  }
}
