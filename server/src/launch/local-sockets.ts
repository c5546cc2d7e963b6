// Sockets of a cloud for other processes of its machine: each is opened when the first of them is started, once.
import { checkCommandVersion } from "../agent/protocol.ts"
import type { Bus } from "../platform/bus/bus.ts"
import type { Logger } from "../platform/log/log.ts"
import type { AwaitedStreams } from "../platform/streams/awaited-streams.ts"
import type { CloudDir } from "./cloud-dir.ts"
import { busSocketPath, streamSocketPath } from "./engines/api-process.ts"

export interface LocalSockets {
  /** Opens it, unless it is; the socket's path. */
  bus: () => Promise<string>
  /** As above: where simulated hosts open streams. */
  streams: (streams: AwaitedStreams | undefined) => Promise<string>
}

export function localSockets(
  { dir, log }: { dir: CloudDir; log: Logger },
  bus: Bus,
  stack: AsyncDisposableStack,
): LocalSockets {
  const keep = async (served: AsyncDisposable) => {
    if (stack.disposed) await served[Symbol.asyncDispose]()
    else stack.use(served)
  }
  const serveBusAt = async (socketPath: string) => {
    const { serveBus } = await import("../platform/bus/socket-bus.ts")
    await keep(await serveBus(bus, socketPath, log, { checkMethod: checkCommandVersion }))
    return socketPath
  }
  const serveStreamsAt = async (socketPath: string, streams: AwaitedStreams | undefined) => {
    const { serveStreams } = await import("../platform/streams/stream-socket.ts")
    if (!streams) throw new Error("this process has no door that hosts open streams at")
    await keep(await serveStreams(streams, socketPath))
    return socketPath
  }
  let openedBus: Promise<string> | undefined
  let openedStreams: Promise<string> | undefined
  return {
    bus: () => (openedBus ??= serveBusAt(busSocketPath(dir))),
    streams: (streams) => (openedStreams ??= serveStreamsAt(streamSocketPath(dir), streams)),
  }
}
