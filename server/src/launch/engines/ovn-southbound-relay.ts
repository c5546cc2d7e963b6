// The southbound database on a host that joined: a socket at which its ovn-controller finds it as if it were here. Each
// connection goes to the cloud's door and on to the database, which knows the host by TLS within. While the door cannot
// be reached connections end at once; ovn-controller tries again and leaves the flows as they are.
import { readFileSync } from "node:fs"
import { createServer, type Socket } from "node:net"
import { connect } from "node:tls"
import { doorServerName } from "../../agent/door-protocol.ts"
import { describeError } from "../../platform/fault/fault.ts"
import type { Logger } from "../../platform/log/log.ts"
import { listenOnSocket } from "../../platform/net/unix-socket.ts"
import { joinStreams } from "../../platform/streams/join.ts"
import type { PeerTls } from "./ovn-paths.ts"

export interface SouthboundRelay {
  socketPath: string
  /** A connection to the database, by way of the door. */
  dial: () => Promise<Socket>
  /** Read anew for each connection: certificates are renewed. */
  tls: PeerTls
  log: Logger
}

export async function relaySouthbound(relay: SouthboundRelay): Promise<AsyncDisposable> {
  const server = createServer((controller) => {
    controller.on("error", () => {}) // told by its end, which follows
    join(relay, controller).catch((error: unknown) => {
      relay.log.debug({ error: describeError(error) }, "the southbound database cannot be reached")
      controller.destroy()
    })
  })
  return await listenOnSocket(server, relay.socketPath)
}

async function join({ dial, tls }: SouthboundRelay, controller: Socket): Promise<void> {
  const socket = await dial()
  const database = connect({
    socket,
    cert: readFileSync(tls.certFile),
    key: readFileSync(tls.keyFile),
    ca: readFileSync(tls.caFile),
    servername: doorServerName,
    minVersion: "TLSv1.2",
  })
  joinStreams(controller, database)
}
