// What one host sends to another: each opens a stream to the cloud, which joins the two.
import type { Platform } from "../platform/context/context.ts"
import type {} from "../platform/streams/awaited-streams.ts"
import { joinStreams } from "../platform/streams/join.ts"

interface Way {
  from: string
  to: string
  /** For both streams to come. */
  timeoutMs: number
  signal: AbortSignal
}

interface Ends {
  send: (streamId: string, signal: AbortSignal) => Promise<unknown>
  receive: (streamId: string, signal: AbortSignal) => Promise<unknown>
}

/** Over when both are; when one of them fails, so does the other. */
export async function relay(
  platform: Platform,
  { from, to, timeoutMs, signal }: Way,
  { send, receive }: Ends,
): Promise<void> {
  const { streams } = platform.drivers
  if (!streams) throw new Error("this process has no door that hosts open streams at")
  using sent = streams.expect(from, timeoutMs)
  using received = streams.expect(to, timeoutMs)
  // A stream that has come may break before the other one is there.
  for (const { opened } of [sent, received]) opened.then((stream) => stream.on("error", () => {}), nothing)
  Promise.all([sent.opened, received.opened]).then(([one, other]) => joinStreams(one, other), nothing)
  const failed = new AbortController()
  const either = AbortSignal.any([signal, failed.signal])
  const whole = async (end: Promise<unknown>) => {
    try {
      await end
    } catch (error) {
      failed.abort(error)
      throw error
    }
  }
  await Promise.allSettled([whole(send(sent.id, either)), whole(receive(received.id, either))])
  if (!failed.signal.aborted) return
  for (const { opened } of [sent, received]) opened.then((stream) => stream.destroy(), nothing)
  // The first one to fail says why; that the other was broken off is no news.
  throw failed.signal.reason
}

const nothing = () => {}
