// The door for hosts on other machines: HTTPS of its own, at which every caller but one that joins shows a certificate
// of the cloud's hosts. Who a caller is follows from that certificate and from nothing that it says.
import { X509Certificate } from "node:crypto"
import { readFileSync } from "node:fs"
import type { IncomingMessage, ServerResponse } from "node:http"
import { createServer, type Server } from "node:https"
import type { Socket } from "node:net"
import { TLSSocket } from "node:tls"
import {
  busUpgrade,
  type CertificateAnswer,
  type DoorFault,
  databaseUpgrade,
  doorPaths,
  type FollowedDatabase,
  followedDatabases,
  southboundUpgrade,
  streamUpgrade,
} from "../../agent/door-protocol.ts"
import { fingerprintOf } from "../../platform/authority/authority.ts"
import type { Hello } from "../../platform/bus/hello.ts"
import type { Platform } from "../../platform/context/context.ts"
import { type Fault, type FaultKind, toFault } from "../../platform/fault/fault.ts"
import { addressOfEnd } from "../../platform/net/address.ts"
import { type AwaitedStreams, streamUnasked } from "../../platform/streams/awaited-streams.ts"
import { joinStreams } from "../../platform/streams/join.ts"
import { ensureHostAuthority, type HostAuthority } from "../authority.ts"
import { doorPortTaken, hostNoControl, hostTooOften, hostUnknown, notAtTheDoor } from "../faults.ts"
import { joinHost, renewCertificate } from "../member/join.ts"
import { type Member, memberOfCertificate, removeMember, selectMember } from "../member/member.ts"
import { readJoinBody, readRenewBody } from "./bodies.ts"
import { HostLinks } from "./links.ts"
import { send, sendJson } from "./reply.ts"

/** What a host may ask beside joining; each answers for the host that asks. Fulfilled where all services are known. */
export type DoorAnswer = (host: string, request: IncomingMessage, response: ServerResponse) => Promise<void>

export interface DoorOptions {
  listen: { host: string; port: number }
  /** Of the cloud's own first host: no other has it. */
  ownAddress: string
  /** By method and first word of the path: `GET /v1/settings`, `GET /v1/images`. */
  answers: Readonly<Record<string, DoorAnswer>>
  /** For control hosts alone; left out: there are none. */
  control?: {
    answers: Readonly<Record<string, DoorAnswer>>
    /** A connection to one of the network's databases; null: the network is simulated. */
    database: ((name: FollowedDatabase) => Promise<Socket>) | null
  }
  /** What is waited for from hosts. */
  streams: AwaitedStreams
  /** A connection to the network's southbound database; null: the network is simulated. */
  southbound: (() => Promise<Socket>) | null
  /** Whether a host of the cloud that never joined has the name. */
  isTaken: (name: string) => Promise<boolean>
  /** What the cloud's end of a connection is; default: this program. */
  hello?: Hello
  /** The host was connected, and has not been for some seconds. */
  onLost: (host: string) => Promise<void>
}

/** A head must come within this; bodies have their own bounds, as images are long. */
const headTimeoutMs = 10_000
const idleMs = 60_000
/** For a refusal to be read. */
const refusedMs = 1_000
/** How often connections are looked at whose head is late. */
const lookEveryMs = 2_000
const renewEveryMs = 12 * 3_600_000
const connectionsMost = 20_000
/** Without a host's certificate: those that join, and whoever else is at the door. The oldest goes for the next. */
const strangersMost = 500
/** A host that is gone without a word is noticed so. */
const keepAliveMs = 15_000

export class HostDoor implements AsyncDisposable {
  readonly #platform: Platform
  readonly #options: DoorOptions
  readonly #server: Server
  readonly #links: HostLinks
  readonly #sockets = new Set<Socket>()
  /** Without a certificate yet, by their address and port; the oldest first. */
  readonly #strangers = new Map<string, Socket>()
  /** Those that hosts opened as they were asked to and to the network's database, and whose they are. */
  readonly #streams = new Map<Socket, string>()
  /** Each host's connection to the network's database. */
  readonly #southbound = new Map<string, Socket>()
  readonly #renewing: NodeJS.Timeout
  /** Hosts whose certificate is being renewed now. */
  readonly #renewals = new Set<string>()
  #authority: HostAuthority

  private constructor(platform: Platform, options: DoorOptions, authority: HostAuthority) {
    this.#platform = platform
    this.#options = options
    this.#authority = authority
    const hello = options.hello === undefined ? {} : { hello: options.hello }
    this.#links = new HostLinks({ bus: platform.bus, log: platform.log, onLost: options.onLost, ...hello })
    this.#server = createServer(
      {
        ...contextOf(authority),
        ...{ requestCert: true, rejectUnauthorized: false, minVersion: "TLSv1.2" },
        ...{ handshakeTimeout: headTimeoutMs, connectionsCheckingInterval: lookEveryMs },
      },
      (request, response) => void this.#answer(request, response),
    )
    this.#server.headersTimeout = headTimeoutMs
    // A body may be as long as an image; what reads it bounds it.
    this.#server.requestTimeout = 0
    this.#server.keepAliveTimeout = idleMs
    this.#server.maxConnections = connectionsMost
    this.#server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket)
      this.#noteStranger(socket)
      socket.once("close", () => this.#sockets.delete(socket))
    })
    this.#server.on("secureConnection", (socket: TLSSocket) => {
      if (socket.authorized) this.#strangers.delete(endOf(socket))
    })
    this.#server.on(
      "upgrade",
      (request: IncomingMessage, socket: Socket, head: Buffer) => void this.#upgrade(request, socket, head),
    )
    this.#server.on("tlsClientError", (error: Error) =>
      platform.log.debug({ error: error.message }, "somebody at the door for hosts"),
    )
    this.#renewing = setInterval(() => void this.#renew(), renewEveryMs).unref()
  }

  static async open(platform: Platform, options: DoorOptions): Promise<HostDoor> {
    const door = new HostDoor(platform, options, await ensureHostAuthority(platform.config.dataDir))
    await new Promise<void>((resolve, reject) => {
      door.#server.once("error", (error: NodeJS.ErrnoException) =>
        reject(error.code === "EADDRINUSE" ? doorPortTaken(options.listen.port) : error),
      )
      door.#server.listen(options.listen, resolve)
    })
    return door
  }

  #noteStranger(socket: Socket): void {
    const end = endOf(socket)
    this.#strangers.set(end, socket)
    socket.once("close", () => {
      if (this.#strangers.get(end) === socket) this.#strangers.delete(end)
    })
    const [oldest] = this.#strangers.size > strangersMost ? this.#strangers.values() : []
    oldest?.destroy()
  }

  get fingerprint(): string {
    return this.#authority.fingerprint
  }

  isConnected(host: string): boolean {
    return this.#links.has(host)
  }

  /** Why its connections are refused; null: they are not. */
  refusalOf(host: string): string | null {
    return this.#links.refusalOf(host)
  }

  /** The host is a member no more: its certificates are refused and its connection ends. False: it is none. */
  async remove(host: string): Promise<boolean> {
    const isRemoved = await removeMember(this.#platform.db, host, this.#platform.clock.now())
    this.#links.drop(host)
    for (const [socket, owner] of this.#streams) if (owner === host) socket.destroy()
    return isRemoved
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#route(request, response)
    } catch (error) {
      const fault = toFault(error)
      if (fault.kind === "bug") this.#platform.log.error({ err: error, url: request.url }, "door for hosts")
      else this.#platform.log.info({ code: fault.code, url: request.url }, "refused at the door for hosts")
      sendFault(request, response, fault)
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = `${request.method} ${(request.url ?? "/").split("?")[0]}`
    const { isTaken, answers, control, ownAddress, southbound } = this.#options
    if (asked === `POST ${doorPaths.join}`) {
      const how = {
        ...{ authority: this.#authority, isTaken, ownAddress, hasTunnels: southbound !== null },
        from: addressOfEnd(request.socket.remoteAddress ?? "") ?? "",
      }
      return sendJson(response, await joinHost(this.#platform, await readJoinBody(request), how))
    }
    const member = await this.#caller(request.socket)
    if (asked === `POST ${doorPaths.certificate}`) {
      const { request: wanted } = await readRenewBody(request)
      return sendJson(response, await this.#renewOf(member, wanted))
    }
    const key = asked.split("/").slice(0, 3).join("/")
    const ofControl = control?.answers ?? {}
    if (Object.hasOwn(ofControl, key) && !member.isControl) throw hostNoControl(member.name)
    const all = { ...answers, ...ofControl }
    const answer = Object.hasOwn(all, key) ? all[key] : undefined
    if (!answer) throw notAtTheDoor(asked)
    await answer(member.name, request, response)
  }

  /** One at a time for each host: signing is the work of several processes. */
  async #renewOf(member: Member, wanted: string): Promise<CertificateAnswer> {
    if (this.#renewals.has(member.id)) throw hostTooOften(member.name)
    this.#renewals.add(member.id)
    try {
      return await renewCertificate(this.#platform, member, wanted, this.#authority)
    } finally {
      this.#renewals.delete(member.id)
    }
  }

  /** By the certificate, which must be of our authority and of a host that is a member now. */
  async #caller(socket: Socket): Promise<Member> {
    if (!(socket instanceof TLSSocket) || !socket.authorized) throw hostUnknown()
    const { raw } = socket.getPeerCertificate()
    const member = await memberOfCertificate(this.#platform.db, fingerprintOf(new X509Certificate(raw)))
    if (!member) throw hostUnknown()
    return member
  }

  async #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    socket.on("error", () => {}) // whoever it was has gone
    try {
      const { url = "/", headers } = request
      const streamId = headers.upgrade === streamUpgrade ? idAfter(`${doorPaths.streams}/`, url) : null
      const isOfBus = url === doorPaths.bus && headers.upgrade === busUpgrade
      const isOfSouthbound = url === doorPaths.southbound && headers.upgrade === southboundUpgrade
      const followed = headers.upgrade === databaseUpgrade ? databaseOf(url) : null
      if (!isOfBus && !isOfSouthbound && streamId === null && followed === null) throw notAtTheDoor(url)
      const member = await this.#caller(socket)
      if (streamId !== null) return this.#takeStream(member.name, streamId, socket, head)
      if (isOfSouthbound) await this.#relaySouthbound(member.name, socket, head)
      else if (followed !== null) await this.#relayDatabase(member, followed, socket, head)
      else {
        beginUpgraded(socket, head, busUpgrade)
        this.#links.add(member, socket)
      }
      // It may have been removed since we looked, when there was nothing to drop yet.
      if ((await selectMember(this.#platform.db, member.name))?.id !== member.id) socket.destroy()
    } catch (error) {
      const fault = toFault(error)
      const body = JSON.stringify(wireOf(fault))
      const headers = `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close`
      socket.end(`HTTP/1.1 ${statusOf(fault)} Refused\r\n${headers}\r\n\r\n${body}`)
      // Nobody waits for this end of it but us.
      setTimeout(() => socket.destroy(), refusedMs).unref()
    }
  }

  /** Whatever a host opens that it was not asked for is refused, and takes nothing away from who was. */
  #takeStream(host: string, id: string, socket: Socket, head: Buffer): void {
    const take = this.#options.streams.claim(host, id)
    if (!take) throw streamUnasked()
    this.#keepStream(host, socket)
    beginUpgraded(socket, head, streamUpgrade)
    take(socket)
  }

  /** The database knows the host by TLS within; that it is still a member only the door knows. */
  async #relaySouthbound(host: string, socket: Socket, head: Buffer): Promise<void> {
    if (!this.#options.southbound) throw notAtTheDoor(doorPaths.southbound)
    const database = await this.#options.southbound()
    // A host has one ovn-controller; what it had before is of a network that was cut.
    this.#southbound.get(host)?.destroy()
    this.#southbound.set(host, socket)
    socket.once("close", () => {
      if (this.#southbound.get(host) === socket) this.#southbound.delete(host)
    })
    this.#keepStream(host, socket)
    beginUpgraded(socket, head, southboundUpgrade)
    joinStreams(socket, database)
  }

  /** A control host follows it, so as to go on with it. */
  async #relayDatabase(member: Member, name: FollowedDatabase, socket: Socket, head: Buffer): Promise<void> {
    if (!member.isControl) throw hostNoControl(member.name)
    const dial = this.#options.control?.database
    if (!dial) throw notAtTheDoor(`${doorPaths.databases}/${name}`)
    const database = await dial(name)
    this.#keepStream(member.name, socket)
    beginUpgraded(socket, head, databaseUpgrade)
    joinStreams(socket, database)
  }

  #keepStream(host: string, socket: Socket): void {
    this.#streams.set(socket, host)
    socket.once("close", () => this.#streams.delete(socket))
    socket.setKeepAlive(true, keepAliveMs)
  }

  async #renew(): Promise<void> {
    try {
      this.#authority = await ensureHostAuthority(this.#platform.config.dataDir)
      this.#server.setSecureContext(contextOf(this.#authority))
    } catch (error) {
      this.#platform.log.error(
        { err: error },
        "the certificate of the door for hosts could not be looked after",
      )
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#renewing)
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#links[Symbol.dispose]()
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }
}

function endOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}

function databaseOf(url: string): FollowedDatabase | null {
  return followedDatabases.find((name) => url === `${doorPaths.databases}/${name}`) ?? null
}

function idAfter(prefix: string, url: string): string | null {
  return url.startsWith(prefix) && url.length > prefix.length ? url.slice(prefix.length) : null
}

/** The socket is no HTTP from here on. `head`: what came of it already. */
function beginUpgraded(socket: Socket, head: Buffer, upgrade: string): void {
  socket.setTimeout(0)
  socket.setNoDelay(true)
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${upgrade}\r\n\r\n`)
  if (head.length > 0) socket.unshift(head)
}

/** With the authority's own certificate, by whose fingerprint a host that joins knows the cloud. */
function contextOf({ door, certificate }: HostAuthority) {
  return {
    cert: `${readFileSync(door.certFile, "utf8")}${certificate}`,
    key: readFileSync(door.keyFile),
    ca: certificate,
  }
}

/** For tools that look at the door; hosts read the fault itself. */
const statuses: Partial<Record<FaultKind, number>> = {
  invalid: 400,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  rate_limited: 429,
  unavailable: 503,
}

function statusOf({ kind }: Fault): number {
  return statuses[kind] ?? 500
}

function wireOf({ kind, code, message }: Fault): DoorFault {
  return { kind, code, message }
}

function sendFault(request: IncomingMessage, response: ServerResponse, fault: Fault): void {
  // In the middle of an answer only the break tells.
  if (response.headersSent) return void response.destroy()
  // What was not read of the body is not waited for.
  if (!request.complete) response.setHeader("connection", "close")
  send(response, statusOf(fault), wireOf(fault))
}
