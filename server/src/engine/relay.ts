// What one host sends to another: each opens a stream to the cloud, which joins the two.
import type { Platform } from "../platform/context/context.ts"
import type {} from "../platform/streams/awaited-streams.ts"
import { joinStreams } from "../platform/streams/join.ts"

interface Way {
  from: string
  to: string
  /** Of the streams. */
  names: readonly string[]
  /** For both ends of all streams to come. */
  timeoutMs: number
  signal: AbortSignal
}

/** What each side is told; the ids of the streams that it opens are by name. */
interface Ends<S, R> {
  send: (streamIds: Readonly<Record<string, string>>, signal: AbortSignal) => Promise<S>
  receive: (streamIds: Readonly<Record<string, string>>, signal: AbortSignal) => Promise<R>
}

/** Over when both are, with what they say; when one of them fails, so does the other. */
export async function relay<S, R>(
  platform: Platform,
  { from, to, names, timeoutMs, signal }: Way,
  { send, receive }: Ends<S, R>,
): Promise<[sent: S, received: R]> {
  const { streams } = platform.drivers
  if (!streams) throw new Error("this process has no door that hosts open streams at")
  using expected = new DisposableStack()
  const ways = names.map((name) => ({
    name,
    sent: expected.use(streams.expect(from, timeoutMs)),
    received: expected.use(streams.expect(to, timeoutMs)),
  }))
  const ends = ways.flatMap(({ sent, received }) => [sent, received])
  // A stream that has come may break before the other one is there.
  for (const { opened } of ends) opened.then((stream) => stream.on("error", () => {}), nothing)
  for (const { sent, received } of ways)
    Promise.all([sent.opened, received.opened]).then(([one, other]) => joinStreams(one, other), nothing)
  const failed = new AbortController()
  const either = AbortSignal.any([signal, failed.signal])
  const whole = async <T>(end: Promise<T>): Promise<T> => {
    try {
      return await end
    } catch (error) {
      failed.abort(error)
      throw error
    }
  }
  const idsOf = (side: "sent" | "received") =>
    Object.fromEntries(ways.map((way) => [way.name, way[side].id] as const))
  const [sent, received] = await Promise.allSettled([
    whole(send(idsOf("sent"), either)),
    whole(receive(idsOf("received"), either)),
  ])
  if (sent.status === "fulfilled" && received.status === "fulfilled") return [sent.value, received.value]
  for (const { opened } of ends) opened.then((stream) => stream.destroy(), nothing)
  // The first one to fail says why; that the other was broken off is no news.
  throw failed.signal.reason
}

const nothing = () => {}
