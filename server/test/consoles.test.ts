// Consoles, the whole way: an address from the API, a WebSocket, the host that opens the stream, the machine.
import assert from "node:assert/strict"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Duplex } from "node:stream"
import { after, before, describe, test } from "node:test"
import { createWebSocketStream, WebSocket } from "ws"
import { FakeHypervisor } from "../src/agent/hypervisor/fake/fake.ts"
import { FakePlugger } from "../src/agent/ports/fake-plugger.ts"
import { DoorClient } from "../src/launch/joined/door-client.ts"
import { doorStreamDialer } from "../src/launch/joined/door-stream-dialer.ts"
import { joinCloud } from "../src/launch/joined/join.ts"
import { startMemberAgent } from "../src/launch/joined/member-agent.ts"
import { eventually, systemClock } from "../src/platform/clock/clock.ts"
import { forwardUpgrades, refusalHeader, serveUpgrades } from "../src/platform/http/upgrade.ts"
import { silentLogger } from "../src/platform/log/log.ts"
import { AwaitedStreams } from "../src/platform/streams/awaited-streams.ts"
import { freePort } from "./free-port.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"

let c: ServerCloud
let scratch: string

before(async () => {
  scratch = mkdtempSync(join(tmpdir(), "kumoi-consoles-"))
  c = await startServerCloud({
    overrides: {
      "hosts.port": await freePort(),
      "compute.quota.instances": 50,
      "compute.quota.cores": 100,
      "console.sessionsPerServerMost": 3,
      "console.messageBytesMost": 4_096,
      "console.allowedOrigins": ["dashboard.example"],
    },
  })
})
after(async () => {
  await c?.[Symbol.asyncDispose]()
  rmSync(scratch, { recursive: true, force: true })
})

type Kind = "vnc" | "serial"
const typeOf = { vnc: "novnc", serial: "serial" }

const askFor = (serverId: string, kind: Kind, how: { token?: string } = {}) =>
  c.call(
    "POST",
    `/servers/${serverId}/remote-consoles`,
    { remote_console: { protocol: kind, type: typeOf[kind] } },
    how,
  )

async function urlOf(serverId: string, kind: Kind): Promise<string> {
  const { status, body } = await askFor(serverId, kind)
  assert.equal(status, 200, JSON.stringify(body))
  assert.deepEqual(body.remote_console, { protocol: kind, type: typeOf[kind], url: body.remote_console.url })
  return body.remote_console.url
}

async function activeServer(attributes = {}): Promise<string> {
  const id = await c.create(attributes)
  await c.reaches(id, "ACTIVE")
  return id
}

interface Opened {
  socket: WebSocket
  stream: Duplex
  /** The status of the refusal; 101 when there was none. */
  status: number
  message: string
}

async function open(url: string, how: { headers?: Record<string, string> } = {}): Promise<Opened> {
  const socket = new WebSocket(url.replace(/^http/, "ws"), ["binary"], { headers: how.headers ?? {} })
  const stream = createWebSocketStream(socket)
  stream.on("error", () => {})
  return await new Promise((resolve, reject) => {
    socket.once("open", () => resolve({ socket, stream, status: 101, message: "" }))
    socket.once("unexpected-response", (_request, response) => {
      response.resume()
      const message = String(response.headers[refusalHeader])
      resolve({ socket, stream, status: response.statusCode ?? 0, message })
    })
    socket.once("error", reject)
  })
}

const heard = async ({ stream }: Opened) => String((await once(stream, "data"))[0])

async function closed({ socket }: Opened): Promise<number> {
  if (socket.readyState === socket.CLOSED) return 0
  return Number((await once(socket, "close"))[0])
}

describe("a console", () => {
  test("shows the screen: a page of its own, and RFB over a WebSocket there", async () => {
    const url = await urlOf(await activeServer(), "vnc")
    assert.match(url, /^http:\/\/127\.0\.0\.1:\d+\/console\/vnc\?token=[\w-]{43}$/)
    const page = await fetch(url)
    assert.equal(page.status, 200)
    assert.match(page.headers.get("content-security-policy") ?? "", /default-src 'none'; script-src 'self';/)
    assert.equal(page.headers.get("referrer-policy"), "no-referrer")
    const script = /src="([^"]+)"/.exec(await page.text())?.[1] ?? ""
    for (const part of [script, script.replace("vnc.js", "novnc/core/rfb.js")]) {
      const got = await fetch(new URL(part, url))
      assert.equal(got.status, 200, part)
      assert.match(got.headers.get("content-type") ?? "", /^text\/javascript/)
      assert.match(got.headers.get("cache-control") ?? "", /immutable/)
    }
    for (const none of ["novnc/package.json", "..%2f..%2findex.ts", "novnc/../../x.js", "xterm/none.mjs"])
      assert.equal((await fetch(new URL(script.replace("vnc.js", none), url))).status, 404, none)
    const opened = await open(url)
    assert.equal(opened.socket.protocol, "binary")
    assert.match(await heard(opened), /^RFB 003\.008\n$/)
    opened.stream.write("RFB 003.008\n")
    assert.deepEqual([...(await once(opened.stream, "data"))[0]], [1, 1], "no password")
    opened.socket.close()
    // Within its time it may be opened again; and as noVNC of other years does it.
    const { origin, search } = new URL(url)
    for (const [path, headers] of [
      [`/websockify${search}`, {}],
      ["/websockify", { cookie: `a=b; ${search.slice(1)}` }],
    ] as const) {
      const again = await open(`${origin}${path}`, { headers })
      assert.match(await heard(again), /^RFB/)
      again.socket.close()
    }
  })

  test("takes and gives on the serial line, of which there is one end", async () => {
    const id = await activeServer()
    const url = await urlOf(id, "serial")
    assert.match(url, /^ws:\/\/127\.0\.0\.1:\d+\/console\/serial\?token=/)
    assert.equal((await fetch(url.replace(/^ws/, "http"))).status, 200)
    const first = await open(url)
    assert.match(await heard(first), /login: /)
    first.stream.write("root\n")
    assert.equal(await heard(first), "root\n")
    const second = await open(url)
    assert.match(await heard(second), /login: /)
    await closed(first)
    second.socket.close()
    await closed(second)
  })

  test("asked for in the old way says the same", async () => {
    const id = await activeServer()
    const old = { version: "2.1" }
    const vnc = await c.act(id, { "os-getVNCConsole": { type: "novnc" } }, old)
    assert.deepEqual([vnc.status, vnc.body.console.type], [200, "novnc"])
    assert.match(await heard(await open(vnc.body.console.url)), /^RFB/)
    const serial = await c.act(id, { "os-getSerialConsole": { type: "serial" } }, old)
    assert.match(serial.body.console.url, /^ws:/)
    const gone = await c.act(id, { "os-getVNCConsole": { type: "xvpvnc" } }, old)
    assert.equal(gone.status, 400)
    assert.equal(gone.body.badRequest.message, "Invalid console type xvpvnc")
    const mixed = { remote_console: { protocol: "vnc", type: "serial" } }
    assert.equal((await c.call("POST", `/servers/${id}/remote-consoles`, mixed)).status, 400)
  })

  test("is told of to an administrator, by its token", async () => {
    const id = await activeServer()
    const token = new URL(await urlOf(id, "vnc")).searchParams.get("token") ?? ""
    const show = (how: object, of = token) => c.call("GET", `/os-console-auth-tokens/${of}`, undefined, how)
    const { body } = await show({ token: c.admin })
    assert.deepEqual(body.console, {
      instance_uuid: id,
      host: "host1",
      port: null,
      internal_access_path: null,
    })
    assert.equal((await show({})).status, 403)
    assert.equal((await show({ token: c.admin }, "none")).status, 404)
    assert.equal((await show({ token: c.admin, version: "2.30" })).status, 400)
    const kept = await c.cloud.database.pool.query("select token_hash from compute.console_token")
    assert.ok(kept.rows.every((row) => !row.token_hash.includes(token)))
  })
})

describe("nobody comes to a console", () => {
  test("by a token that is none, or is over", async () => {
    const id = await activeServer()
    const url = await urlOf(id, "vnc")
    const { origin } = new URL(url)
    for (const search of ["", "?token=", "?token=nonsense"])
      assert.equal((await open(`${origin}/console/vnc${search}`)).status, 403)
    await c.cloud.database.pool.query(
      "update compute.console_token set expires_at = now() - interval '1 s' where server_id = $1",
      [id],
    )
    assert.equal((await open(url)).status, 403)
    // The next one takes those away that are over.
    await urlOf(id, "vnc")
    const { rows } = await c.cloud.database.pool.query(
      "select 1 from compute.console_token where server_id = $1",
      [id],
    )
    assert.equal(rows.length, 1)
  })

  test("of another project's server", async () => {
    const id = await activeServer()
    const project = await c.cloud.request("POST", "/identity/v3/projects", {
      token: c.admin,
      body: { project: { name: "others" } },
    })
    const user = await c.cloud.request("POST", "/identity/v3/users", {
      token: c.admin,
      body: { user: { name: "stranger", password: "stranger-password" } },
    })
    const roles = await c.cloud.request("GET", "/identity/v3/roles?name=member", { token: c.admin })
    const grant = `projects/${project.body.project.id}/users/${user.body.user.id}/roles/${roles.body.roles[0].id}`
    await c.cloud.request("PUT", `/identity/v3/${grant}`, { token: c.admin })
    const stranger = await c.cloud.token({
      user: "stranger",
      password: "stranger-password",
      project: "others",
    })
    assert.equal((await askFor(id, "vnc", { token: stranger })).status, 404)
    assert.equal((await askFor(id, "vnc")).status, 200)
  })

  test("from a page of somebody else's", async () => {
    const url = await urlOf(await activeServer(), "vnc")
    const from = async (origin: string) => {
      const opened = await open(url, { headers: { origin } })
      opened.socket.terminate()
      return opened.status
    }
    assert.equal(await from(new URL(url).origin), 101)
    assert.equal(await from("https://dashboard.example"), 101)
    for (const foreign of ["http://evil.example", "https://127.0.0.1", "null", "x"])
      assert.equal(await from(foreign), 403, foreign)
  })

  test("of a server that is off, or not there yet; it is told so", async () => {
    const id = await activeServer()
    const url = await urlOf(id, "serial")
    const opened = await open(url)
    await c.act(id, { "os-stop": null })
    await c.reaches(id, "SHUTOFF")
    await closed(opened)
    const late = await open(url)
    assert.deepEqual(
      [late.status, late.message],
      [409, "Cannot open a console of a machine that is shutdown."],
    )
    const refused = await askFor(id, "vnc")
    assert.equal(refused.status, 409)
    assert.equal(refused.body.conflictingRequest.message, `Instance ${id} is not ready`)
  })

  test("of a server that is gone, shelved or elsewhere, also not with the address from before", async () => {
    for (const end of ["delete", "shelve", "move"] as const) {
      const id = await activeServer()
      const url = await urlOf(id, "vnc")
      const opened = await open(url)
      assert.equal(opened.status, 101)
      if (end === "delete") await c.call("DELETE", `/servers/${id}`)
      else if (end === "shelve") await c.act(id, { shelve: null })
      else
        await c.cloud.database.pool.query("update compute.server set host = 'elsewhere' where id = $1", [id])
      assert.ok((await closed(opened)) >= 0, end)
      await eventually("the token to be gone", async () => {
        const { rows } = await c.cloud.database.pool.query(
          "select 1 from compute.console_token where server_id = $1",
          [id],
        )
        return rows.length === 0
      })
      assert.equal((await open(url)).status, 403, end)
      if (end !== "move") continue
      // Back where it was, the old address stays over.
      await c.cloud.database.pool.query("update compute.server set host = 'host1' where id = $1", [id])
      assert.equal((await open(url)).status, 403)
    }
  })

  test("beyond the limits: so many at once, and no message without end", async () => {
    const id = await activeServer()
    const url = await urlOf(id, "vnc")
    const all = [await open(url), await open(url), await open(url)]
    const surplus = await open(url)
    assert.equal(surplus.status, 429)
    const [first] = all
    assert.ok(first)
    first.socket.send(Buffer.alloc(5_000))
    assert.equal(await closed(first), 1009, "a message too long")
    await eventually("room again", async () => {
      const next = await open(url)
      if (next.status === 101) all.push(next)
      return next.status === 101
    })
    for (const { socket } of all) socket.terminate()
  })

  test("without a WebSocket: what else is asked there is an ordinary request", async () => {
    const url = await urlOf(await activeServer(), "vnc")
    const { get } = await import("node:http")
    const statusOf = async (upgrade: string) =>
      await new Promise<number | undefined>((resolve, reject) => {
        const asked = get(url, { headers: { connection: "Upgrade", upgrade } }, (response) => {
          response.resume()
          resolve(response.statusCode)
        })
        asked.once("error", reject)
      })
    assert.equal(await statusOf("h2c"), 200)
    assert.equal(await statusOf("websocket"), 400, "no key")
  })
})

describe("a console of a machine on a host that joined", () => {
  test("goes through the door, which takes only what that host was asked for, once", async () => {
    const { hosts } = c.cloud.cloud
    assert.ok(hosts)
    const join_ = async (name: string) => {
      const dataDir = join(scratch, name)
      const line = await hosts.token({ hostName: null, address: null, lastsMs: 60_000 })
      const membership = await joinCloud({ dataDir, ...line, name, address: null })
      return { dataDir, membership, client: new DoorClient({ door: membership.door, dataDir }) }
    }
    const far = await join_("far")
    const hypervisor = new FakeHypervisor({
      host: "far",
      hostIp: "127.0.0.1",
      dir: join(far.dataDir, "agent/fake"),
      clock: systemClock,
      capacity: { vcpus: 8, ramMib: 16_384, diskGib: 100 },
    })
    const agent = await startMemberAgent({
      membership: far.membership,
      dataDir: far.dataDir,
      client: far.client,
      parts: { hypervisor, ports: new FakePlugger(), metadata: null, imageCacheBytes: null, volumes: [] },
      log: silentLogger,
      clock: systemClock,
    })
    await eventually("the host to be up", async () => {
      const { body } = await c.call("GET", "/os-services?host=far", undefined, { token: c.admin })
      return body.services[0]?.state === "up"
    })
    const made = await c.call(
      "POST",
      "/servers",
      { server: { name: "vm", imageRef: c.imageId, flavorRef: c.flavorId, networks: "none", host: "far" } },
      { token: c.admin },
    )
    const id = made.body.server.id
    await c.reaches(id, "ACTIVE")
    const asked = await askFor(id, "serial", { token: c.admin })
    const opened = await open(asked.body.remote_console.url)
    assert.match(await heard(opened), /login: /)
    // Much at once, both ways: what is written comes back whole.
    const much = Buffer.alloc(3 * 1024 * 1024, "0123456789abcdef")
    let back = 0
    opened.stream.on("data", (bytes: Buffer) => {
      back += bytes.length
    })
    for (let at = 0; at < much.length; at += 4_096)
      if (!opened.stream.write(much.subarray(at, at + 4_096))) await once(opened.stream, "drain")
    await eventually("all of it to be back", () => back === much.length)

    const other = await join_("other")
    const streamId = "a".repeat(32)
    await assert.rejects(doorStreamDialer(other.client).dial(streamId), { code: "stream.unasked" })
    await assert.rejects(doorStreamDialer(other.client).dial("../x"), { code: "stream.unasked" })
    await agent.stop({ guests: "leave", graceMs: 0 })
    await closed(opened)
    assert.equal((await open(asked.body.remote_console.url)).status, 503, "its host is away")
    far.client[Symbol.dispose]()
    other.client[Symbol.dispose]()
  })
})

test("another process that answers hands consoles on", async () => {
  const socketPath = join(scratch, "console.sock")
  const taken: string[] = []
  await using _served = await serveUpgrades(socketPath, (request, socket, head) => {
    taken.push(`${request.url} ${request.headers["sec-websocket-protocol"]} ${head}`)
    socket.end("HTTP/1.1 101 Switching Protocols\r\n\r\nwelcome")
  })
  const answered = async (path: string) => {
    const server = (await import("node:http")).createServer()
    server.on("upgrade", forwardUpgrades(path))
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const { connect } = await import("node:net")
    const address = server.address()
    const client = connect(typeof address === "object" && address ? address.port : 0, "127.0.0.1")
    const head =
      "GET /console/vnc?token=t HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    client.write(`${head}Sec-WebSocket-Protocol: binary\r\n\r\nfirst`)
    const text = Buffer.concat(await client.toArray()).toString()
    server.close()
    return text
  }
  assert.match(await answered(socketPath), /welcome$/)
  assert.deepEqual(taken, ["/console/vnc?token=t binary first"])
  assert.match(await answered(join(scratch, "none.sock")), /^HTTP\/1\.1 503 /)
})

test("a stream that comes from the wrong host, or after its time, is nobody's", async () => {
  const streams = new AwaitedStreams()
  using asked = streams.expect("host2", 1_000)
  assert.equal(streams.claim("host3", asked.id), null)
  assert.ok(streams.claim("host2", asked.id))
  assert.equal(streams.claim("host2", asked.id), null)
})

test("a console over which nothing goes is closed after a while", async () => {
  await using idle = await startServerCloud({ overrides: { "console.idleMs": 500 } })
  const id = await idle.create()
  await idle.reaches(id, "ACTIVE")
  const remote_console = { protocol: "serial", type: "serial" }
  const { body } = await idle.call("POST", `/servers/${id}/remote-consoles`, { remote_console })
  const opened = await open(body.remote_console.url)
  opened.stream.resume()
  assert.equal(await closed(opened), 1008)
})
