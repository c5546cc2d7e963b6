import assert from "node:assert/strict"
import { once } from "node:events"
import { createServer, type RequestListener } from "node:http"
import type { AddressInfo } from "node:net"
import { test } from "node:test"
import { load } from "./load.ts"

async function withServer(answer: RequestListener, use: (url: string) => Promise<void>): Promise<void> {
  const server = createServer(answer).listen(0, "127.0.0.1")
  await once(server, "listening")
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

test("each request is sent once, at most as many at a time, and other answers are failures", async () => {
  const seen: string[] = []
  let open = 0
  let openMost = 0
  const answer: RequestListener = (request, response) => {
    seen.push(request.url ?? "")
    openMost = Math.max(openMost, ++open)
    setImmediate(() => {
      open--
      response.writeHead(request.url === "/7" ? 500 : 200).end("answer")
    })
  }
  await withServer(answer, async (url) => {
    const request = (i: number) => ({ method: "GET", path: `/${i}`, headers: {} }) as const
    const sample = await load({
      url,
      concurrency: 4,
      durationMs: 20_000,
      warmUpMs: 0,
      requestsMax: 100,
      request,
    })
    assert.equal(sample.requests, 100)
    assert.equal(sample.failures, 1)
    assert.ok(sample.perSecond > 0 && sample.medianMs > 0 && sample.p99Ms >= sample.medianMs)
  })
  assert.deepEqual(seen.toSorted(), Array.from({ length: 100 }, (_, i) => `/${i}`).toSorted())
  assert.ok(openMost > 1 && openMost <= 4)
})

test("at a fixed pace, a server that stands still makes the requests late that were due meanwhile", async () => {
  let count = 0
  const stillMs = 300
  const answer: RequestListener = (_request, response) => {
    if (++count === 5) setTimeout(() => response.end(), stillMs)
    else response.end()
  }
  await withServer(answer, async (url) => {
    const request = () => ({ method: "GET", path: "/", headers: {} }) as const
    const paced = await load({
      url,
      concurrency: 1,
      durationMs: 20_000,
      warmUpMs: 0,
      requestsMax: 40,
      paceMs: 10,
      request,
    })
    assert.equal(paced.requests, 40)
    assert.ok(paced.medianMs > stillMs / 10, `median ${paced.medianMs} ms`)
  })
})
