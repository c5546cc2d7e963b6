// Streams that the cloud asked this host for, through the door: a connection of its own each, made anew with TLS.
import type { Socket } from "node:net"
import type { StreamDialer } from "../../agent/consoles.ts"
import { doorPaths, streamUpgrade } from "../../agent/door-protocol.ts"
import type { DoorClient } from "./door-client.ts"

/** A cloud that is gone without a word is noticed so. */
const keepAliveMs = 15_000

export function doorStreamDialer(client: DoorClient): StreamDialer {
  return {
    dial: async (streamId): Promise<Socket> => {
      const path = `${doorPaths.streams}/${encodeURIComponent(streamId)}`
      const socket = await client.open(path, streamUpgrade)
      socket.setKeepAlive(true, keepAliveMs)
      return socket
    },
  }
}
