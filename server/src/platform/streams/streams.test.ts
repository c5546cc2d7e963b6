import assert from "node:assert/strict"
import { once } from "node:events"
import { mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Duplex } from "node:stream"
import { test } from "node:test"
import { eventually } from "../clock/clock.ts"
import { AwaitedStreams, streamLate, streamUnasked } from "./awaited-streams.ts"
import { joinStreams } from "./join.ts"
import { linkedPair } from "./pair.ts"
import { serveStreams, socketStreamDialer } from "./stream-socket.ts"

async function textOf(stream: Duplex): Promise<string> {
  return Buffer.concat(await stream.toArray()).toString()
}

test("joined streams carry both ways, and what was sent last still gets there", async () => {
  const [here, a] = linkedPair()
  const [b, there] = linkedPair()
  joinStreams(a, b)
  here.write("up")
  assert.equal(String((await once(there, "data"))[0]), "up")
  there.end("last words")
  assert.equal(await textOf(here), "last words")
  await eventually("all to be closed", () => [a, b].every((stream) => stream.destroyed))
})

test("an end that is torn off closes the other", async () => {
  const [here, a] = linkedPair()
  const [b, there] = linkedPair()
  joinStreams(a, b)
  here.destroy()
  await textOf(there)
  await eventually("the other to be closed", () => there.destroyed)
  const [c, d] = linkedPair()
  const [e, f] = linkedPair()
  c.destroy()
  joinStreams(d, e)
  await textOf(f)
})

test("an end that takes nothing holds up what is sent to it, within bounds", async () => {
  const [here, a] = linkedPair()
  const [b, there] = linkedPair()
  joinStreams(a, b)
  const chunk = Buffer.alloc(64 * 1024)
  let sent = 0
  // 16 MiB at once; each write that is not taken at once waits for `drain`, which does not come.
  while (sent < 256 && here.write(chunk)) sent++
  assert.ok(sent < 16, `${sent} chunks were taken without a reader`)
  there.resume()
  await once(here, "drain")
  here.destroy()
  there.destroy()
})

test("a stream is taken from the host that was asked, once, and in time", async () => {
  const streams = new AwaitedStreams()
  using asked = streams.expect("host2", 5_000)
  await assert.rejects(streams.dialer("host3").dial(asked.id), streamUnasked.is)
  const own = await streams.dialer("host2").dial(asked.id)
  await assert.rejects(streams.dialer("host2").dial(asked.id), streamUnasked.is)
  own.write("hello")
  const opened = await asked.opened
  assert.equal(String((await once(opened, "data"))[0]), "hello")
  const late = streams.expect("host2", 1)
  await assert.rejects(late.opened, streamLate.is)
  await assert.rejects(streams.dialer("host2").dial(late.id), streamUnasked.is)
})

test("a process of this machine opens the streams of its hosts at a socket; nobody else's", async () => {
  const streams = new AwaitedStreams()
  const dir = mkdtempSync(join(tmpdir(), "kumoi-streams-"))
  const path = join(dir, "streams.sock")
  const served = await serveStreams(streams, path)
  try {
    assert.equal(statSync(path).mode & 0o777, 0o600)
    using asked = streams.expect("host2", 5_000)
    await assert.rejects(socketStreamDialer(path, "host3").dial(asked.id), streamUnasked.is)
    const own = await socketStreamDialer(path, "host2").dial(asked.id)
    await assert.rejects(socketStreamDialer(path, "host2").dial(asked.id), streamUnasked.is)
    const opened = await asked.opened
    const sent = Buffer.alloc(1_000_000, "x")
    own.write(sent)
    opened.write("answer")
    const [first] = await once(own, "data")
    assert.equal(String(first), "answer")
    let got = 0
    for await (const chunk of opened) {
      got += (chunk as Buffer).length
      if (got === sent.length) break
    }
    own.destroy()
  } finally {
    await served[Symbol.asyncDispose]()
    rmSync(dir, { recursive: true })
  }
})
