// The way to consoles: a WebSocket of a client, whose token says which machine, joined to a stream that the machine's
// host opens. RFB and serial bytes go as binary messages, as websockify has them. Runs in the one process that works.
import type { IncomingMessage } from "node:http"
import type { Duplex } from "node:stream"
import type { WebSocket } from "ws"
import type { Platform } from "../../platform/context/context.ts"
import { type FaultKind, toFault } from "../../platform/fault/fault.ts"
import { refuseUpgrade } from "../../platform/http/upgrade.ts"
import type { AwaitedStreams } from "../../platform/streams/awaited-streams.ts"
import { callAgent } from "../agent-call.ts"
import { consoleTokenUnusable } from "../faults.ts"
import { ConsoleSessions } from "./sessions.ts"
import { type ConsolePlace, findConsolePlace } from "./token.ts"

/** Whoever opens a console waits for it. */
const openTimeoutMs = 10_000
/** What of either side may wait here for the other. */
const bufferBytes = 64 * 1024

const statuses: Partial<Record<FaultKind, number>> = {
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  unsupported: 501,
  rate_limited: 429,
  unavailable: 503,
}

/** Loaded when the first client comes: many clouds never see one. */
async function loadServer(maxPayload: number) {
  const { createWebSocketStream, WebSocketServer } = await import("ws")
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload,
    perMessageDeflate: false,
    // The one that stock clients offer; whoever offers none gets none.
    handleProtocols: (offered) => (offered.has("binary") ? "binary" : false),
  })
  return { server, createWebSocketStream }
}

export class ConsoleProxy implements Disposable {
  readonly #platform: Platform
  readonly #streams: AwaitedStreams
  readonly #sessions: ConsoleSessions
  #server: ReturnType<typeof loadServer> | null = null

  constructor(platform: Platform, streams: AwaitedStreams) {
    this.#platform = platform
    this.#streams = streams
    this.#sessions = new ConsoleSessions(platform)
  }

  get sessionCount(): number {
    return this.#sessions.count
  }

  /** A request that wants to be a WebSocket; where it is from was looked at. */
  async take(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on("error", () => {}) // whoever it was has gone
    try {
      const place = await findConsolePlace(this.#platform, tokenOf(request))
      if (!place) throw consoleTokenUnusable()
      await this.#open(place, request, socket, head)
    } catch (error) {
      const fault = toFault(error)
      const { log } = this.#platform
      if (fault.kind === "bug") log.error({ err: error }, "a console could not be opened")
      else log.info({ code: fault.code }, "a console was refused")
      const message = fault.kind === "bug" ? "The console could not be opened." : fault.message
      refuseUpgrade(socket, statuses[fault.kind] ?? 500, message)
    }
  }

  async #open(place: ConsolePlace, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const session = this.#sessions.begin(place)
    let client: WebSocket | null = null
    try {
      this.#server ??= loadServer(this.#platform.config.console.messageBytesMost)
      const { server, createWebSocketStream } = await this.#server
      const machine = await this.#reach(place)
      // Throws nothing: it refuses by itself what is no WebSocket, and calls back at once for what is one.
      server.handleUpgrade(request, socket, head, (opened) => {
        client = opened
        const stream = createWebSocketStream(opened, {
          readableHighWaterMark: bufferBytes,
          writableHighWaterMark: bufferBytes,
        })
        this.#sessions.join(session, opened, stream, machine)
      })
      if (client === null) machine.destroy()
      else this.#platform.log.info({ serverId: place.serverId, kind: place.kind }, "a console was opened")
    } finally {
      if (client === null) this.#sessions.end(session)
    }
  }

  async #reach({ serverId, host, kind }: ConsolePlace): Promise<Duplex> {
    using asked = this.#streams.expect(host, openTimeoutMs)
    const args = { serverId, kind, streamId: asked.id }
    try {
      await callAgent(this.#platform, host, "vm.console", args, { timeoutMs: openTimeoutMs })
    } catch (error) {
      // It may have come although the answer has not.
      asked.opened.then(
        (stream) => stream.destroy(),
        () => {},
      )
      throw error
    }
    return await asked.opened
  }

  [Symbol.dispose](): void {
    this.#sessions[Symbol.dispose]()
    void this.#server?.then(({ server }) => server.close())
  }
}

/** In the query; or in a cookie, where noVNC of some years puts it. */
function tokenOf({ url = "/", headers }: IncomingMessage): string {
  const asked = new URL(url, "http://console").searchParams.get("token")
  if (asked) return asked
  const [, cookie = ""] = /(?:^|;\s*)token=([\w-]+)/.exec(headers.cookie ?? "") ?? []
  return cookie
}
