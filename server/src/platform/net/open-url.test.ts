import assert from "node:assert/strict"
import { createServer, type RequestListener } from "node:http"
import type { AddressInfo } from "node:net"
import { test } from "node:test"
import { OpenRefused, type OpenRules, openUrl, refuseUrl } from "./open-url.ts"
import { readRanges } from "./ranges.ts"

async function serve(answer: RequestListener) {
  const server = createServer(answer)
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
  const { port } = server.address() as AddressInfo
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
    },
  }
}

const rulesFor = (port: number, changes: Partial<OpenRules> = {}): OpenRules => ({
  hosts: ["*"],
  ports: [port],
  ranges: readRanges(["127.0.0.1/32"], "test"),
  idleMs: 20_000,
  deadlineMs: 60_000,
  redirectsMost: 2,
  ...changes,
})

const never = new AbortController().signal

async function read(uri: string, rules: OpenRules): Promise<string> {
  const opened = await openUrl(uri, rules, { signal: never })
  const chunks: Uint8Array[] = []
  for await (const chunk of opened.body) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

test("an address is judged before anything is asked", () => {
  const rules = rulesFor(80, { ports: [80, 443] })
  for (const uri of [
    "http://8.8.8.8/x",
    "https://images.example/x",
    "http://127.0.0.1/",
    "http://[2606:4700::1]/",
  ])
    assert.equal(refuseUrl(uri, rules), null, uri)
  for (const [uri, why] of [
    ["http://8.8.8.8:9200/", /port 9200/],
    ["https://images.example:22/", /port 22/],
    ["http://127.0.0.2/", /no public address/],
    ["http://0x7f.0.0.2/", /no public address/],
    ["http://2130706434/", /no public address/],
    ["http://[::1]/", /no public address/],
    ["http://[::ffff:127.0.0.2]/", /no public address/],
    ["http://[fe80::1]/", /no public address/],
    ["http://169.254.169.254/latest", /no public address/],
    ["ftp://8.8.8.8/", /only http and https/],
    ["http://user:secret@8.8.8.8/", /name a user/],
    ["images.example", /not an address/],
  ] as const)
    assert.match(refuseUrl(uri, rules) ?? "", why, uri)
  assert.match(
    refuseUrl("http://other.example/", { ...rules, hosts: ["images.example"] }) ?? "",
    /none of those/,
  )
})

test("a name is judged by the addresses it has, and they are not told", async () => {
  await using server = await serve((_request, response) => response.end("data"))
  const rules = rulesFor(server.port)
  assert.equal(await read(`http://localhost:${server.port}/`, rules), "data")
  const refused = await read(`http://localhost:${server.port}/`, {
    ...rules,
    ranges: readRanges([], ""),
  }).then(
    () => assert.fail("it was read"),
    (error: Error) => error,
  )
  assert.ok(refused instanceof OpenRefused)
  assert.match(refused.message, /host localhost has no public address/)
  assert.doesNotMatch(refused.message, /127\.0\.0\.1/)
})

test("a redirect is judged like the first address, and there are not many", async () => {
  await using server = await serve((request, response) => {
    const to: Record<string, string> = {
      "/there": "/data",
      "/loopback": `http://127.0.0.2:${server.port}/data`,
      "/port": "http://127.0.0.1:1/data",
      "/file": "file:///etc/passwd",
      "/round": "/round",
      "/broken": "http://",
    }
    const location = to[request.url ?? ""]
    if (location) response.writeHead(302, { location }).end()
    else response.end("data")
  })
  const rules = rulesFor(server.port)
  assert.equal(await read(`${server.url}/there`, rules), "data")
  for (const [path, why] of [
    ["/loopback", /no public address/],
    ["/port", /port 1 is none/],
    ["/file", /only http and https/],
    ["/round", /more than 2 redirects/],
    ["/broken", /no address/],
  ] as const)
    await assert.rejects(read(`${server.url}${path}`, rules), why)
})

test("a server that stands still or takes too long is left", async () => {
  await using server = await serve((request, response) => {
    if (request.url === "/silent") return
    response.write("a")
    if (request.url === "/stops") return
    const drip = setInterval(() => response.write("a"), 20)
    response.on("close", () => clearInterval(drip))
  })
  const hasty = rulesFor(server.port, { idleMs: 150 })
  await assert.rejects(read(`${server.url}/silent`, hasty), /stood still for 0\.15 s/)
  await assert.rejects(read(`${server.url}/stops`, hasty), /stood still for 0\.15 s/)
  const late = rulesFor(server.port, { deadlineMs: 300 })
  await assert.rejects(read(`${server.url}/drips`, late), /not read within 0\.3 s/)
  await assert.rejects(read(`${server.url}/silent`, late), /not read within 0\.3 s/)
})

test("data that end early are no data", async () => {
  await using server = await serve((_request, response) => {
    response.writeHead(200, { "content-length": "10" })
    response.write("half", () => response.destroy())
  })
  await assert.rejects(read(server.url, rulesFor(server.port)), OpenRefused)
})

test("who asked can give up", async () => {
  await using server = await serve(() => {})
  const gaveUp = new AbortController()
  const reading = openUrl(server.url, rulesFor(server.port), { signal: gaveUp.signal })
  gaveUp.abort(new Error("no longer wanted"))
  await assert.rejects(reading, /no longer wanted/)
})
