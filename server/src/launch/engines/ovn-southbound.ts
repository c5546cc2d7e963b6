// Opens the southbound database to other hosts: on this machine's loopback alone, where the door relays to it. Who may
// come in by which certificate stands in rows of the database itself: so it needs no restart, and holds over one. A
// host gets OVN's role `ovn-controller`, and the database knows it by the name in its certificate: it writes the rows
// of its own name, and of those that hosts share what a host has to say (which ports are with it). Files of
// certificates are read again when they change.
import { connect, type Socket } from "node:net"
import { eventually } from "../../platform/clock/clock.ts"
import { fault } from "../../platform/fault/fault.ts"
import { byUuid, type Operation, OvsdbClient, type Row } from "../../platform/ovsdb/index.ts"
import type { OvnPaths, PeerTls } from "./ovn-paths.ts"
import { probeIntervalMs } from "./ovn-switch.ts"

const notListening = fault(
  "unavailable",
  "network.southbound.not_listening",
  () => "The network's database does not listen to other hosts now; try again.",
)

const loopback = "127.0.0.1"
/** At a port that the kernel chooses, another one after each start of the database. */
const target = `pssl:0:${loopback}`
const listenTimeoutMs = 10_000

/** May be repeated; what was opened before under another address or certificate is closed. */
export async function openSouthbound(paths: OvnPaths, tls: PeerTls): Promise<void> {
  await withSouthbound(paths, async (client) => {
    await client.transact(opening(onlyRow(client)._uuid, tls))
    await eventually("the database to listen", () => portIn(client), { timeoutMs: listenTimeoutMs }).catch(
      () => {
        throw notListening()
      },
    )
  })
}

/** A connection to where it listens to other hosts. What is said on it is the host's business: TLS. */
export async function dialSouthbound(paths: OvnPaths): Promise<Socket> {
  const port = await withSouthbound(paths, async (client) => portIn(client))
  if (port === null) throw notListening()
  const socket = connect({ host: loopback, port })
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve)
    socket.once("error", (cause) => reject(Object.assign(notListening(), { cause })))
  })
  return socket
}

function portIn(client: OvsdbClient): number | null {
  const row = [...client.table("Connection").values()].find((each) => each.target === target)
  const status = row?.status
  if (typeof status !== "object" || !("bound_port" in status)) return null
  return Number(status.bound_port) || null
}

function opening(global: string, tls: PeerTls): Operation[] {
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

async function withSouthbound<T>(paths: OvnPaths, work: (client: OvsdbClient) => Promise<T>): Promise<T> {
  const client = new OvsdbClient({
    socketPath: paths.southboundSocket,
    database: "OVN_Southbound",
    tables: { SB_Global: ["connections", "ssl"], Connection: ["target", "status"] },
  })
  try {
    await client.ready()
    return await work(client)
  } finally {
    await client.close()
  }
}
