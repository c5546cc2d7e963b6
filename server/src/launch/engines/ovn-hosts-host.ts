// One host of the story of many hosts: a process of its own, since what a host is made of is made where the process
// is. Does what the story says, one after the other.
import { createSocket } from "node:dgram"
import { connect, createServer, type Server, type Socket } from "node:net"
import { join } from "node:path"
import { silentLogger } from "../../platform/log/log.ts"
import { joinStreams } from "../../platform/streams/join.ts"
import { Supervisor } from "../../platform/supervise/supervisor.ts"
import { centralEngines, chassisEngines, retellChassis } from "./ovn.ts"
import { ChassisWatch } from "./ovn-chassis-watch.ts"
import { setUpNetworkHost, tearDownNetworkHost } from "./ovn-host.ts"
import { type ChassisOptions, type DatapathType, ovnPaths, type PeerTls } from "./ovn-paths.ts"
import type { EncapType } from "./ovn-record.ts"
import { closeSouthbound, dialSouthbound, forgetChassis, openSouthbound } from "./ovn-southbound.ts"
import { relaySouthbound } from "./ovn-southbound-relay.ts"

export interface HostSettings {
  id: string
  dir: string
  hostId: string
  /** The control plane is here. */
  isCentral: boolean
  /** Gateway of the public network; null on a host that is none. */
  publicAddress: string | null
  /** Where other hosts reach it; null for no tunnels. */
  address: string | null
  southbound?: StorySouthbound | undefined
  type?: EncapType
  datapathType?: DatapathType
}

/** Where the central host's door stands, and what this host shows behind it. */
export interface StorySouthbound {
  address: string
  port: number
  tls: PeerTls
}

const log = silentLogger
let supervisor: Supervisor | undefined
let relay: AsyncDisposable | undefined
let door: Server | undefined
const atDoor = new Set<Socket>()

function chassisOptions(settings: HostSettings): ChassisOptions {
  const { id, dir, hostId, publicAddress, isCentral } = settings
  return {
    paths: ovnPaths(id),
    databaseDir: join(dir, "ovn"),
    logDir: join(dir, "log"),
    hostId,
    isPublic: publicAddress !== null,
    datapathType: "netdev",
    isRelayed: !isCentral,
  }
}

async function setUp(settings: HostSettings): Promise<void> {
  const { id, publicAddress, address, type = "geneve", datapathType = "netdev" } = settings
  await setUpNetworkHost({
    id,
    publicAddresses: publicAddress === null ? [] : [publicAddress],
    ...(address === null ? {} : { tunnel: { address, type, datapathType, tenantMtu: 1442 } }),
    log,
  })
}

async function start(settings: HostSettings): Promise<void> {
  await setUp(settings)
  const options = chassisOptions(settings)
  supervisor = new Supervisor({ runDir: join(settings.dir, "run"), log })
  await startRelay(settings)
  const engines = [...(settings.isCentral ? centralEngines(options) : []), ...chassisEngines(options)]
  for (const engine of engines) await supervisor.start(engine)
}

async function startRelay({ id, southbound, isCentral }: HostSettings): Promise<void> {
  if (isCentral || !southbound) return
  await relay?.[Symbol.asyncDispose]()
  const { address, port, tls } = southbound
  const dial = async () => {
    const socket = connect({ host: address, port })
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve)
      socket.once("error", reject)
    })
    return socket
  }
  relay = await relaySouthbound({ socketPath: ovnPaths(id).southboundSocket, dial, tls, log })
}

/** Stands for the cloud's door, without its own TLS and without looking who comes. */
async function openDoor({ id }: HostSettings, { address, port }: StorySouthbound): Promise<void> {
  door ??= createServer((socket) => {
    atDoor.add(socket)
    socket.on("error", () => {})
    dialSouthbound(ovnPaths(id)).then(
      (database) => joinStreams(socket, database),
      () => socket.destroy(),
    )
  })
  const opened = door
  if (!opened.listening) await new Promise<void>((resolve) => opened.listen(port, address, resolve))
}

function signalController(signal: NodeJS.Signals): void {
  const pid = supervisor?.status().find(({ name }) => name === "ovn-controller")?.pid
  if (!pid) throw new Error("there is no ovn-controller")
  process.kill(pid, signal)
}

let watch: ChassisWatch | undefined

const verbs = {
  start,
  /** As the control plane does from time to time; the word is its hosts' addresses. */
  compare: async ({ id }: HostSettings, addresses: string) => {
    watch ??= new ChassisWatch(ovnPaths(id))
    return await watch.compare(new Map(Object.entries(JSON.parse(addresses) as Record<string, string>)))
  },
  /** As after kill -9 of Kumoi: the engines are found running. */
  startAgain: async (settings: HostSettings) => {
    supervisor?.release()
    await start(settings)
  },
  change: async (settings: HostSettings) => {
    await setUp(settings)
    await retellChassis(chassisOptions(settings))
  },
  setUp,
  open: async (settings: HostSettings) => {
    const { id, southbound } = settings
    if (!southbound) return
    await openSouthbound(ovnPaths(id), southbound.tls)
    await openDoor(settings, southbound)
  },
  /** As the door does with a host that was removed, here with all of them. */
  cutOff: async () => {
    for (const socket of atDoor) socket.destroy()
    atDoor.clear()
  },
  close: async ({ id }: HostSettings) => await closeSouthbound(ovnPaths(id)),
  forget: async ({ id }: HostSettings, chassis: string) => await forgetChassis(ovnPaths(id), chassis),
  pauseController: async () => signalController("SIGSTOP"),
  resumeController: async () => signalController("SIGCONT"),
  engines: async () => supervisor?.status() ?? [],
  /** Holds the port of the tunnels as another program would. */
  occupy: async (_settings: HostSettings, port: string) => {
    await new Promise<void>((resolve) => createSocket("udp4").bind(Number(port), resolve))
  },
  end: async ({ id }: HostSettings) => {
    await watch?.[Symbol.asyncDispose]()
    await supervisor?.stopAll()
    await relay?.[Symbol.asyncDispose]()
    await tearDownNetworkHost({ id, log })
  },
  /** As after kill -9 of Kumoi: nobody ends the engines. */
  tearDownAlone: async ({ id }: HostSettings) => {
    supervisor?.release()
    await relay?.[Symbol.asyncDispose]()
    await tearDownNetworkHost({ id, log })
  },
}

export type Verb = keyof typeof verbs

export interface Order {
  verb: Verb
  settings: HostSettings
  word?: string
}

let turn = Promise.resolve()
let last: HostSettings | undefined
process.on("message", (order: Order) => {
  turn = turn.then(async () => {
    last = order.settings
    try {
      const result = await verbs[order.verb](order.settings, order.word ?? "")
      process.send?.({ result: result ?? null })
    } catch (error) {
      process.send?.({ error: error instanceof Error ? error.message : String(error) })
    }
  })
})

// The story was cut off.
process.on("disconnect", () => {
  void turn.then(async () => {
    if (last) await verbs.end(last)
    process.exit()
  })
})
