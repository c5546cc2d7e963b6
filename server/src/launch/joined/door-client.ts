// A host's side of the cloud's door: asks over HTTPS with the host's certificate, and opens the bus.
import { readFileSync } from "node:fs"
import type { IncomingMessage } from "node:http"
import { Agent, request } from "node:https"
import type { Socket } from "node:net"
import type { Readable } from "node:stream"
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls"
import {
  busUpgrade,
  type CertificateAnswer,
  type ControlShare,
  type DoorFault,
  databaseUpgrade,
  doorPaths,
  doorServerName,
  type FollowedDatabase,
  type HostSettings,
  type JoinAnswer,
  type JoinRequest,
  readJoinToken,
  southboundUpgrade,
  type TpmKeyAnswer,
} from "../../agent/door-protocol.ts"
import type { VolumeConnection } from "../../agent/protocol.ts"
import type { VolumeKey } from "../../agent/volumes/volume-keys.ts"
import { fingerprintOf } from "../../platform/authority/authority.ts"
import { Fault, type FaultKind, faultKinds } from "../../platform/fault/fault.ts"
import { addressOfEnd } from "../../platform/net/address.ts"
import { memberFiles } from "./membership.ts"

const answerTimeoutMs = 30_000
const connectTimeoutMs = 10_000
/** Where there is another door to ask. */
const connectSoonMs = 3_000
const answerBytesMost = 4_194_304

export interface DoorRequest {
  method?: "GET" | "POST" | "PUT"
  path: string
  headers?: Readonly<Record<string, string>>
  /** Sent as JSON. */
  json?: unknown
  /** Sent as it is. */
  body?: Readable
  /** For the answer to begin; default half a minute. */
  timeoutMs?: number
  signal?: AbortSignal
}

/** The cloud's door as this host, with the certificate that its files have now. */
export class DoorClient implements Disposable {
  #doors: readonly URL[]
  /** The one that is asked: of the control host that answered last. */
  #door: URL
  readonly #dataDir: string
  #agent: Agent

  /** `doors`: of further control hosts. */
  constructor({ door, doors = [], dataDir }: { door: string; doors?: readonly string[]; dataDir: string }) {
    this.#door = new URL(door)
    const others = doors.filter((each) => each !== door)
    this.#doors = [this.#door, ...others.map((each) => new URL(each))]
    this.#dataDir = dataDir
    this.#agent = this.#openAgent()
  }

  get door(): string {
    return this.#door.origin
  }

  /** As the cloud says them now. */
  set doors(doors: readonly string[]) {
    if (doors.length > 0) this.#doors = doors.map((door) => new URL(door))
  }

  /** Asked from now on. */
  prefer(door: string): void {
    this.#doors = [new URL(door), ...this.#doors.filter(({ origin }) => origin !== door)]
    this.#door = this.#doors[0] ?? this.#door
  }

  get doors(): readonly string[] {
    return this.#doors.map((door) => door.origin)
  }

  /** The door did not answer: the next one is asked from now on. */
  #leave(door: URL): void {
    if (this.#door !== door) return
    const at = this.#doors.findIndex(({ origin }) => origin === door.origin)
    this.#door = this.#doors[(at + 1) % this.#doors.length] ?? door
  }

  #openAgent(): Agent {
    return new Agent({ ...this.#tls(), keepAlive: true, maxSockets: 16, timeout: 60_000 })
  }

  #tls(): ConnectionOptions {
    const { certFile, keyFile, caFile } = memberFiles(this.#dataDir)
    return {
      cert: readFileSync(certFile),
      key: readFileSync(keyFile),
      ca: readFileSync(caFile),
      servername: doorServerName,
      minVersion: "TLSv1.2",
    }
  }

  /** After the certificate was renewed. */
  reload(): void {
    this.#agent.destroy()
    this.#agent = this.#openAgent()
  }

  /** The answer's head has come and says that all is well; the caller reads the body. Throws the fault of the door. */
  async ask(asked: DoorRequest): Promise<IncomingMessage> {
    const door = this.#door
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const { method = "GET", path, headers = {}, json, body, signal } = asked
      const sent = request(new URL(path, door), {
        method,
        agent: this.#agent,
        headers: { ...headers, ...(json === undefined ? {} : { "content-type": "application/json" }) },
        ...(signal ? { signal } : {}),
      })
      const late = setTimeout(
        () => sent.destroy(new Error("no answer in time")),
        asked.timeoutMs ?? answerTimeoutMs,
      )
      sent.once("close", () => clearTimeout(late))
      sent.once("response", (response) => {
        clearTimeout(late)
        resolve(response)
      })
      sent.once("error", (error) => {
        if (isAway(error)) this.#leave(door)
        reject(unreachable(door, error))
      })
      if (body) body.once("error", (error) => sent.destroy(error)).pipe(sent)
      else sent.end(json === undefined ? undefined : JSON.stringify(json))
    })
    if (response.statusCode === 200 || response.statusCode === 206) return response
    throw await faultIn(response)
  }

  async #askJson<T>(asked: DoorRequest): Promise<T> {
    // The door's own answer to this path.
    return (await readJsonBody(await this.ask(asked))) as T
  }

  async settings(): Promise<HostSettings> {
    return await this.#askJson<HostSettings>({ path: doorPaths.settings })
  }

  /** Only of a volume that the cloud has on this host. */
  async volumeKey(volumeId: string): Promise<VolumeKey> {
    return await this.#askJson<VolumeKey>({ path: `${doorPaths.volumeKeys}/${encodeURIComponent(volumeId)}` })
  }

  /** Only of a server that the cloud has on this host. */
  async tpmKey(serverId: string): Promise<string> {
    const path = `${doorPaths.tpmKeys}/${encodeURIComponent(serverId)}`
    return (await this.#askJson<TpmKeyAnswer>({ path })).key
  }

  /** Only of a volume that a machine of this host is to have. */
  async volumeConnection(volumeId: string): Promise<VolumeConnection> {
    const path = `${doorPaths.volumeConnections}/${encodeURIComponent(volumeId)}`
    return await this.#askJson<VolumeConnection>({ path })
  }

  async renew(certificateRequest: string): Promise<CertificateAnswer> {
    const json = { request: certificateRequest }
    return await this.#askJson<CertificateAnswer>({ method: "POST", path: doorPaths.certificate, json })
  }

  /** Control hosts alone. */
  async controlShare(): Promise<ControlShare> {
    return await this.#askJson<ControlShare>({ path: doorPaths.control })
  }

  /** A connection that speaks the bus, to the first door that opens, beginning with the one that did last. */
  async openBus(signal: AbortSignal): Promise<Socket> {
    for (let left = this.#doors.length; ; left--) {
      const door = this.#door
      try {
        return await this.open(doorPaths.bus, busUpgrade, signal)
      } catch (error) {
        this.#leave(door)
        if (left <= 1 || signal.aborted) throw error
      }
    }
  }

  /** A connection that speaks OVSDB with one of the network's databases; control hosts alone. */
  async openDatabase(name: FollowedDatabase): Promise<Socket> {
    return await this.open(`${doorPaths.databases}/${name}`, databaseUpgrade)
  }

  /** A connection that speaks TLS with the network's southbound database. */
  async openSouthbound(): Promise<Socket> {
    return await this.open(doorPaths.southbound, southboundUpgrade)
  }

  /** A connection of its own that speaks something else than HTTP from its answer on. */
  async open(path: string, upgrade: string, signal?: AbortSignal): Promise<Socket> {
    const door = this.#door
    const withinMs = this.#doors.length > 1 ? connectSoonMs : connectTimeoutMs
    return await new Promise<Socket>((resolve, reject) => {
      const sent = request(new URL(path, door), {
        ...this.#tls(),
        agent: false,
        ...(signal ? { signal } : {}),
        headers: { connection: "Upgrade", upgrade },
      })
      const late = setTimeout(() => sent.destroy(new Error("no answer in time")), withinMs)
      sent.once("close", () => clearTimeout(late))
      sent.once("upgrade", (_response, socket: Socket, head: Buffer) => {
        clearTimeout(late)
        if (head.length > 0) socket.unshift(head)
        socket.setNoDelay(true)
        resolve(socket)
      })
      sent.once("response", (response) => void faultIn(response).then(reject))
      sent.once("error", (error) => reject(unreachable(door, error)))
      sent.end()
    })
  }

  [Symbol.dispose](): void {
    this.#agent.destroy()
  }
}

const wrongAuthority = () =>
  new Fault(
    "forbidden",
    "cli.join.wrong_cloud",
    "What answers there is not the cloud that made the token: its certificate is of another authority. " +
      "Copy the whole line that ./kumoi host token printed.",
  )

/** Joins: the token names the authority, and nothing secret is sent before the door has shown it. */
export async function askToJoin(
  door: URL,
  asked: Omit<JoinRequest, "token" | "address" | "at"> & { token: string; address: string | null; at?: Date },
): Promise<{ answer: JoinAnswer; address: string }> {
  const token = readJoinToken(asked.token)
  if (!token) {
    const message = "The token is not whole. Copy the line that ./kumoi host token printed."
    throw new Fault("invalid", "cli.option.invalid", message)
  }
  const socket = await openUnknown(door)
  try {
    if (!isOf(socket, token.authority)) throw wrongAuthority()
    const address = asked.address ?? addressOfEnd(socket.localAddress ?? "") ?? ""
    const at = (asked.at ?? new Date()).toISOString()
    const body = { ...asked, address, token: token.secret, at } satisfies JoinRequest
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const sent = request(new URL(doorPaths.join, door), {
        method: "POST",
        createConnection: () => socket,
        headers: { "content-type": "application/json" },
        timeout: answerTimeoutMs,
      })
      sent.once("timeout", () => sent.destroy(new Error("no answer in time")))
      sent.once("response", resolve)
      sent.once("error", (error) => reject(unreachable(door, error)))
      sent.end(JSON.stringify(body))
    })
    if (response.statusCode !== 200) throw await faultIn(response)
    // The door's own answer to this path.
    return { answer: (await readJsonBody(response)) as JoinAnswer, address }
  } finally {
    socket.destroy()
  }
}

async function openUnknown(door: URL): Promise<TLSSocket> {
  return await new Promise<TLSSocket>((resolve, reject) => {
    // Whose it is we look at ourselves, by the token's fingerprint.
    const socket = connect({
      host: door.hostname.replace(/^\[|\]$/g, ""),
      port: Number(door.port || 443),
      servername: doorServerName,
      rejectUnauthorized: false,
      minVersion: "TLSv1.2",
      timeout: connectTimeoutMs,
    })
    socket.once("timeout", () => socket.destroy(new Error("no answer in time")))
    socket.once("secureConnect", () => resolve(socket))
    socket.once("error", (error) => reject(unreachable(door, error)))
  })
}

/** Whether the certificate that was shown is the door's, signed by the authority with this fingerprint. */
function isOf(socket: TLSSocket, authority: string): boolean {
  const shown = socket.getPeerX509Certificate()
  const ca = shown?.issuerCertificate
  if (!shown || !ca || fingerprintOf(ca) !== authority) return false
  return shown.verify(ca.publicKey) && shown.checkHost(doorServerName) !== undefined
}

async function readJsonBody(response: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > answerBytesMost) throw new Error("the door's answer is too long")
    chunks.push(chunk)
  }
  return JSON.parse(Buffer.concat(chunks).toString())
}

async function faultIn(response: IncomingMessage): Promise<Fault> {
  const found = await readJsonBody(response).catch(() => null)
  // What is no fault of the door's came from something else at that address.
  const { kind = "", code = "", message = "" } = (found ?? {}) as Partial<DoorFault>
  if (isFaultKind(kind) && code !== "") return new Fault(kind, code, message)
  const text = `The door for hosts answered ${response.statusCode}; it may be another program's.`
  return new Fault("unavailable", "cli.join.no_door", text)
}

function isFaultKind(kind: string): kind is FaultKind {
  return (faultKinds as readonly string[]).includes(kind)
}

/** Nobody is there, or somebody who is not the cloud. */
function isAway(error: Error): boolean {
  return "code" in error && awayCodes.has(String(error.code))
}

const awayCodes = new Set(["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT"])

function unreachable(door: URL, cause: Error): Fault {
  if (cause instanceof Fault) return cause
  const code = "code" in cause ? String(cause.code) : ""
  const why =
    code === "CERT_NOT_YET_VALID" || code === "CERT_HAS_EXPIRED"
      ? `a certificate is not valid at this machine's time (${new Date().toISOString()}); is its clock right?`
      : code.startsWith("ERR_SSL_") || code === "EPROTO"
        ? "what answers there speaks no TLS; the port for hosts is another than the one for clients (hosts.port, 5443)"
        : cause.message
  return new Fault("unavailable", "cli.join.unreachable", `${door.origin} cannot be used: ${why}`, { cause })
}
