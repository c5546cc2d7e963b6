// A cloud on the operator's PostgreSQL and RabbitMQ, with several processes that answer: started, killed, continued.
import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { mkdtemp, readFile, rm, stat } from "node:fs/promises"
import { type AddressInfo, createServer } from "node:net"
import { hostname, tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { after, before, describe, test } from "node:test"
import { Connection } from "rabbitmq-client"
import { openEmptyDatabase, openTestDatabase, type TestDatabase } from "../../test/database.ts"
import { agentTopic } from "../agent/protocol.ts"
import { rabbitMissing, startTestRabbit, type TestRabbit } from "../platform/bus/testing/rabbitmq.ts"
import { eventually } from "../platform/clock/clock.ts"
import type { CloudStatus } from "./status.ts"

const kumoi = resolve(import.meta.dirname, "../../../kumoi")
const timeoutMs = 300_000

interface Ended {
  code: number
  text: string
}

function run(args: string[], env: Record<string, string> = {}): Promise<Ended> {
  const { DATABASE_URL: _database, AMQP_URL: _broker, ...own } = process.env
  return new Promise((done) => {
    const child = execFile(
      kumoi,
      args,
      { env: { ...own, ...env }, timeout: timeoutMs },
      (error, out, err) => {
        done({ code: error ? (typeof error.code === "number" ? error.code : -1) : 0, text: `${out}${err}` })
      },
    )
    child.stdin?.end()
  })
}

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((listening) => probe.listen(0, "127.0.0.1", listening))
  const { port } = probe.address() as AddressInfo
  await new Promise((closed) => probe.close(closed))
  return port
}

class Cloud {
  readonly dataDir: string
  readonly port: number

  constructor(dataDir: string, port: number) {
    this.dataDir = dataDir
    this.port = port
  }

  up(env: Record<string, string>, flags: string[] = []): Promise<Ended> {
    const where = ["--data", this.dataDir, "--port", String(this.port)]
    return run(["up", "--detach", "--hypervisor", "fake", "--network", "fake", ...where, ...flags], env)
  }

  async status(): Promise<CloudStatus> {
    return JSON.parse((await run(["status", "--json", "--data", this.dataDir])).text)
  }

  async down(): Promise<void> {
    const ended = await run(["down", "--purge", "--data", this.dataDir])
    assert.equal(ended.code, 0, ended.text)
  }

  async ask(
    path: string,
    how: { method?: string; token?: string; subject?: string; body?: unknown } = {},
  ): Promise<Response> {
    return await fetch(`http://127.0.0.1:${this.port}${path}`, {
      method: how.method ?? "GET",
      headers: {
        "content-type": "application/json",
        // A connection for each request, so that every process gets some.
        connection: "close",
        ...(how.token ? { "x-auth-token": how.token } : {}),
        ...(how.subject ? { "x-subject-token": how.subject } : {}),
      },
      ...(how.body ? { body: JSON.stringify(how.body) } : {}),
    })
  }

  async token(): Promise<string> {
    const { demo } = JSON.parse(await readFile(join(this.dataDir, "passwords.json"), "utf8"))
    const domain = { id: "default" }
    const reply = await this.ask("/v3/auth/tokens", {
      method: "POST",
      body: {
        auth: {
          identity: {
            methods: ["password"],
            password: { user: { name: "demo", domain, password: demo } },
          },
          scope: { project: { name: "demo", domain } },
        },
      },
    })
    assert.equal(reply.status, 201)
    return reply.headers.get("x-subject-token") ?? ""
  }

  /** Creates a server without waiting for it. */
  async create(token: string, name: string): Promise<string> {
    const list = async (path: string) => JSON.parse(await (await this.ask(path, { token })).text())
    const [image] = (await list("/image/v2/images")).images
    const { flavors } = await list("/compute/v2.1/flavors")
    const reply = await this.ask("/compute/v2.1/servers", {
      method: "POST",
      token,
      body: { server: { name, imageRef: image?.id, flavorRef: flavors[0].id } },
    })
    const body = JSON.parse(await reply.text())
    assert.equal(reply.status, 202, JSON.stringify(body))
    return body.server.id
  }

  /** A token that one process takes back is refused by each of them from then on. */
  async revokedEverywhere(): Promise<void> {
    const token = await this.token()
    const use = async () => (await this.ask("/v3/auth/tokens", { token, subject: token })).status
    for (let n = 0; n < 8; n++) assert.equal(await use(), 200)
    assert.equal((await this.ask("/v3/auth/tokens", { method: "DELETE", token, subject: token })).status, 204)
    await eventually("every process to know", async () => {
      const seen = new Set<number>()
      for (let n = 0; n < 16; n++) seen.add(await use())
      return seen.size === 1 && seen.has(401)
    })
  }

  async isActive(token: string, id: string): Promise<boolean> {
    const reply = await this.ask(`/compute/v2.1/servers/${id}`, { token })
    return JSON.parse(await reply.text()).server?.status === "ACTIVE"
  }
}

const missing = rabbitMissing()

describe("the operator's PostgreSQL and RabbitMQ", { skip: missing ?? false, timeout: 900_000 }, () => {
  let rabbit: TestRabbit
  let database: TestDatabase
  let directory: string
  let cloud: Cloud
  let env: { DATABASE_URL: string; AMQP_URL: string }

  before(async () => {
    rabbit = await startTestRabbit()
    database = await openTestDatabase()
    directory = await mkdtemp(join(tmpdir(), "kumoi-external-"))
    cloud = new Cloud(join(directory, "cloud"), await freePort())
    env = { DATABASE_URL: database.connectionString, AMQP_URL: rabbit.url }
  })
  after(async () => {
    await cloud.down()
    await rabbit[Symbol.asyncDispose]()
    await database[Symbol.asyncDispose]()
    await rm(directory, { recursive: true, force: true })
  })

  test("what cannot be reached is named, and nothing is left of the start", async () => {
    const elsewhere = new Cloud(join(directory, "elsewhere"), cloud.port)
    const noDatabase = await elsewhere.up({ DATABASE_URL: "postgres://kumoi:hidden@127.0.0.1:1/kumoi" })
    assert.equal(noDatabase.code, 1)
    assert.match(noDatabase.text, /PostgreSQL at 127\.0\.0\.1:1\/kumoi \(DATABASE_URL\) cannot be used/)
    assert.doesNotMatch(noDatabase.text, /hidden/)
    const noBroker = await elsewhere.up({ ...env, AMQP_URL: "amqp://guest:hidden@127.0.0.1:1/x" })
    assert.equal(noBroker.code, 1)
    assert.match(noBroker.text, /RabbitMQ at 127\.0\.0\.1:1\/x \(AMQP_URL\) cannot be used/)
    assert.doesNotMatch(noBroker.text, /hidden/)
    const wrongWord = await elsewhere.up({ ...env, AMQP_URL: "localhost" })
    assert.match(wrongWord.text, /AMQP_URL must look like amqp:/)
    assert.equal((await elsewhere.status()).state, "stopped")
    await elsewhere.down()
  })

  test("a cloud runs on both, answered by two processes, and goes on after kill -9", async () => {
    const started = await cloud.up(env, ["--workers", "2"])
    assert.equal(started.code, 0, started.text)
    const found = await cloud.status()
    const state = (name: string) => found.components.find((c) => c.name === name)
    assert.equal(state("postgres")?.kind, "external")
    assert.equal(state("postgres")?.state, "ok")
    assert.equal(state("rabbitmq")?.state, "ok")
    assert.equal(state("api-1")?.state, "running")
    assert.equal(state("api-2")?.state, "running")
    // What a process that answers is told has the database's address in it.
    assert.equal((await stat(join(cloud.dataDir, "run/api.json"))).mode & 0o777, 0o600)

    const token = await cloud.token()
    const first = await cloud.create(token, "first")
    await eventually("the server", () => cloud.isActive(token, first))

    await cloud.revokedEverywhere()
    const one = await cloud.create(token, "second")
    const pid = state("kumoi")?.pid
    assert.ok(pid)
    process.kill(pid, "SIGKILL")
    await eventually("the processes that answer to end", async () => {
      const answer = await cloud.ask("/healthz").catch(() => null)
      return answer === null
    })
    const again = await cloud.up(env)
    assert.equal(again.code, 0, again.text)
    await eventually("the second server", () => cloud.isActive(token, one))
    assert.ok(await cloud.isActive(token, first))
  })

  test("a second cloud on the same database is refused, and the first goes on", async () => {
    const second = new Cloud(join(directory, "second"), await freePort())
    const refused = await second.up(env)
    assert.equal(refused.code, 1)
    assert.match(refused.text, /Another cloud runs on PostgreSQL at/)
    await second.down()
    assert.equal((await cloud.status()).state, "running")
  })

  test("without DATABASE_URL it does not start empty, and its state is there when it is set again", async () => {
    const stopped = await run(["down", "--data", cloud.dataDir])
    assert.equal(stopped.code, 0, stopped.text)
    const forgot = await cloud.up({ AMQP_URL: env.AMQP_URL })
    assert.equal(forgot.code, 1)
    assert.match(forgot.text, /Set DATABASE_URL as at its first start/)
    const back = await cloud.up(env)
    assert.equal(back.code, 0, back.text)
    const token = await cloud.token()
    const servers = await (await cloud.ask("/compute/v2.1/servers", { token })).json()
    assert.equal((servers as { servers: unknown[] }).servers.length, 2)
  })

  test("a cloud with a PostgreSQL of its own refuses another", async () => {
    const own = new Cloud(join(directory, "own"), await freePort())
    try {
      assert.equal((await own.up({})).code, 0)
      assert.equal((await run(["down", "--data", own.dataDir])).code, 0)
      const changed = await own.up({ DATABASE_URL: env.DATABASE_URL })
      assert.equal(changed.code, 1)
      assert.match(changed.text, /lies in its own PostgreSQL/)
    } finally {
      await own.down()
    }
  })

  test("the host's agent is reached over the broker", async () => {
    const connection = new Connection({ url: env.AMQP_URL })
    try {
      const queue = `kumoi.${agentTopic(hostname())}`
      const { consumerCount } = await connection.queueDeclare({ queue, passive: true })
      assert.equal(consumerCount, 1)
    } finally {
      await connection.close()
    }
  })
})

describe("a backup of the operator's PostgreSQL", { timeout: 600_000 }, () => {
  test("is made while the cloud is down, and restored into an empty database only", async () => {
    const directory = await mkdtemp(join(tmpdir(), "kumoi-external-backup-"))
    await using database = await openTestDatabase()
    await using empty = await openEmptyDatabase()
    const cloud = new Cloud(join(directory, "cloud"), await freePort())
    const env = { DATABASE_URL: database.connectionString }
    const backup = join(directory, "backup")
    const data = ["--data", cloud.dataDir]
    try {
      const started = await cloud.up(env)
      assert.equal(started.code, 0, started.text)
      const stopped = await run(["down", ...data], env)
      assert.equal(stopped.code, 0, stopped.text)
      assert.match((await run(["backup", backup, ...data])).text, /Set DATABASE_URL/)
      const made = await run(["backup", backup, ...data], env)
      assert.match(made.text, /is whole/)
      const refused = await run(["restore", backup, ...data], env)
      assert.equal(refused.code, 1)
      assert.match(refused.text, /has the state of a cloud\. Name a new, empty one/)
      const toEmpty = { DATABASE_URL: empty.connectionString }
      const restored = await run(["restore", backup, ...data], toEmpty)
      assert.equal(restored.code, 0, restored.text)
      const again = await cloud.up(toEmpty)
      assert.equal(again.code, 0, again.text)
      assert.ok(await cloud.token())
    } finally {
      await cloud.down()
      await rm(directory, { recursive: true, force: true })
    }
  })
})
