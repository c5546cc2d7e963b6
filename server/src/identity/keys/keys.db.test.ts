import assert from "node:assert/strict"
import { access, copyFile, mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { sql } from "kysely"
import { openTestDatabase, type TestDatabase } from "../../../test/database.ts"
import { startTestIdentity, type TestIdentity, testPasswords } from "../../../test/identity-cloud.ts"
import { eventually, systemClock } from "../../platform/clock/clock.ts"
import { type Config, loadConfig } from "../../platform/config/config.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { keySecretMissing, keyStagedTooShortly, keysSealedOtherwise, tooManyKeys } from "../faults.ts"
import { newFernetKeyText } from "./fernet.ts"
import { createKeyRing } from "./key-ring.ts"
import { openKeys } from "./keys.ts"
import { listKeys, rotateKeys } from "./rotate.ts"
import { keyRotationReconciler } from "./rotation.reconciler.ts"
import { readKeys } from "./store.ts"

const payload = Buffer.from("claims")

async function withDirectory(run: (path: string) => Promise<void>): Promise<void> {
  const path = await mkdtemp(join(tmpdir(), "kumoi-keys-"))
  try {
    await run(path)
  } finally {
    await rm(path, { recursive: true })
  }
}

function open(database: TestDatabase, dataDir: string) {
  const base = { dataDir, publicUrl: "http://127.0.0.1", region: "RegionOne", host: "test" } as Config
  return openKeys({ db: database.db, config: loadConfig({ env: {}, base }), clock: systemClock })
}

async function isGood(cloud: TestIdentity, token: string): Promise<boolean> {
  return (await cloud.send("GET", "/auth/projects", { token })).status === 200
}

function rolesOf(keys: Awaited<ReturnType<typeof listKeys>>, ring: string): string[] {
  return keys.filter((key) => key.ring === ring).map((key) => `${key.number} ${key.role}`)
}

/** As if all that happened to the keys so far had happened earlier. */
async function age(cloud: TestIdentity, hours: number): Promise<void> {
  await sql`update identity.fernet_key set created_at = created_at - make_interval(hours => ${hours}),
    primary_at = primary_at - make_interval(hours => ${hours})`.execute(cloud.database.db)
}

test("two processes on one database share keys, and a rotation on one reaches the other", async () => {
  await using here = await startTestIdentity()
  await using there = await startTestIdentity({ sharing: here })
  const before = await here.token("demo", testPasswords.demo)
  assert.ok(await isGood(there, before))
  const first = await there.token("demo", testPasswords.demo)
  const { primary } = await rotateKeys(here.platform, "token")
  assert.equal(primary, 2)
  const after = await here.token("demo", testPasswords.demo)
  for (const cloud of [here, there])
    for (const token of [before, first, after]) assert.ok(await isGood(cloud, token))
  // The other process signs with the new key as soon as it has heard.
  const { tokenKeys } = there.platform.drivers.identity
  await eventually("the new key there", () => tokenKeys.isOutdated(before) && !tokenKeys.isOutdated(after))
  const fromThere = await there.token("demo", testPasswords.demo)
  assert.ok(!here.platform.drivers.identity.tokenKeys.isOutdated(fromThere))
  assert.ok(await isGood(here, fromThere))
})

test("two rotations at once are no riddle for a process that heard of neither", async () => {
  await using here = await startTestIdentity()
  await using deaf = await startTestIdentity({ sharing: here, isDeaf: true })
  await rotateKeys(here.platform, "token")
  await rotateKeys(here.platform, "token")
  const token = await here.token("demo", testPasswords.demo)
  assert.equal(deaf.platform.drivers.identity.tokenKeys.decrypt(token), null)
  assert.ok(await isGood(deaf, token))
})

test("a former key goes when its last token has expired, and no earlier", async () => {
  await using cloud = await startTestIdentity()
  const token = await cloud.token("demo", testPasswords.demo)
  await rotateKeys(cloud.platform, "token")
  // One hour of life and two days in which services may still look at it.
  await age(cloud, 49)
  assert.deepEqual((await rotateKeys(cloud.platform, "token")).removed, [])
  await age(cloud, 1)
  assert.ok(await isGood(cloud, token))
  assert.deepEqual((await rotateKeys(cloud.platform, "token")).removed, [1])
  assert.deepEqual(rolesOf(await listKeys(cloud.platform), "token"), [
    "2 former",
    "3 former",
    "4 primary",
    "5 staged",
  ])
  assert.equal(cloud.platform.drivers.identity.tokenKeys.decrypt(token), null)
})

test("rotations do not pile up keys without end", async () => {
  await using cloud = await startTestIdentity({ overrides: { "identity.keysMax": 3 } })
  await rotateKeys(cloud.platform, "receipt")
  await assert.rejects(rotateKeys(cloud.platform, "receipt"), (error) => tooManyKeys.is(error))
  assert.equal((await listKeys(cloud.platform)).filter((key) => key.ring === "receipt").length, 3)
})

test("rotations at the same time come one after the other", async () => {
  await using here = await startTestIdentity()
  await using there = await startTestIdentity({ sharing: here })
  const done = await Promise.all(
    [here, there, here, there].map((cloud) => rotateKeys(cloud.platform, "token")),
  )
  assert.deepEqual(done.map((rotation) => rotation.primary).sort(), [2, 3, 4, 5])
  assert.deepEqual(rolesOf(await listKeys(here.platform), "token").slice(-2), ["5 primary", "6 staged"])
})

test("credentials are encrypted anew, and their former key goes at the next rotation", async () => {
  await using here = await startTestIdentity()
  await using there = await startTestIdentity({ sharing: here })
  const admin = await here.adminToken()
  const user_id = (await here.send("GET", "/users?name=demo", { token: admin })).body.users[0].id
  const blobs = ["first", "second"]
  const ids: string[] = []
  for (const blob of blobs) {
    const body = { credential: { type: "secret", blob, user_id } }
    ids.push((await here.send("POST", "/credentials", { token: admin, body })).body.credential.id)
  }
  await assert.rejects(rotateKeys(here.platform, "credential"), (error) => keyStagedTooShortly.is(error))
  await age(here, 1)
  const first = await rotateKeys(here.platform, "credential")
  assert.deepEqual([first.renewed, first.removed], [2, []])
  await age(here, 1)
  assert.deepEqual((await rotateKeys(there.platform, "credential")).removed, [1])
  for (const cloud of [here, there]) {
    for (const [i, id] of ids.entries()) {
      const reply = await cloud.send("GET", `/credentials/${id}`, { token: admin })
      assert.equal(reply.body.credential.blob, blobs[i])
    }
  }
})

test("keys are rotated by themselves when they are old enough", async () => {
  await using cloud = await startTestIdentity({ overrides: { "identity.keyRotationSeconds": 7200 } })
  const run = () => keyRotationReconciler.run(cloud.platform, new AbortController().signal)
  assert.deepEqual(await run(), { keys: 6, rotated: [] })
  await age(cloud, 3)
  assert.deepEqual(await run(), { keys: 6, rotated: ["token", "receipt"] })
  assert.deepEqual(await run(), { keys: 8, rotated: [] })
})

test("the database holds no key in the open, and the secret is its owner's alone", async () => {
  await using cloud = await startTestIdentity()
  const { secret } = cloud.platform.drivers.identity.keys
  assert.equal(secret.path, join(cloud.platform.config.dataDir, "identity", "key-secret"))
  assert.equal((await stat(secret.path)).mode & 0o777, 0o600)
  const keys = await readKeys(cloud.database.db, secret)
  assert.equal(keys.length, 6)
  const dump = await sql<{
    text: string
  }>`select string_agg(k::text, ' ') as text from identity.fernet_key k`.execute(cloud.database.db)
  const text = dump.rows[0]?.text ?? ""
  for (const key of keys) {
    const bytes = Buffer.from(key.text, "base64url")
    for (const form of ["base64url", "base64", "hex"] as const)
      assert.ok(!text.includes(bytes.toString(form)))
  }
})

test("a second host needs the first one's secret and makes none of its own", async () => {
  await using database = await openTestDatabase()
  await withDirectory(async (path) => {
    const [one, two, three] = ["one", "two", "three"].map((name) => join(path, name)) as [
      string,
      string,
      string,
    ]
    const first = await open(database, one)
    const secretOf = (host: string) => join(host, "identity", "key-secret")
    await assert.rejects(
      open(database, two),
      (error) =>
        keySecretMissing.is(error) && error instanceof Fault && error.message.includes(secretOf(two)),
    )
    await assert.rejects(access(secretOf(two)))
    await mkdir(join(two, "identity"), { recursive: true })
    await copyFile(secretOf(one), secretOf(two))
    const second = await open(database, two)
    const message = first.rings.token.encrypt(payload, 1)
    assert.deepEqual(second.rings.token.decrypt(message)?.payload, payload)
    await mkdir(join(three, "identity"), { recursive: true })
    await writeFile(secretOf(three), Buffer.alloc(32).toString("base64url"))
    await assert.rejects(open(database, three), (error) => keysSealedOtherwise.is(error))
  })
})

test("processes that start together end up with one set of keys", async () => {
  await using database = await openTestDatabase()
  await withDirectory(async (path) => {
    const opened = await Promise.all(Array.from({ length: 5 }, () => open(database, path)))
    const messages = opened.map((keys) => keys.rings.token.encrypt(payload, 1))
    for (const keys of opened) for (const message of messages) assert.ok(keys.rings.token.decrypt(message))
  })
})

test("keys that lay in files are taken over, and the files go", async () => {
  await using database = await openTestDatabase()
  await withDirectory(async (path) => {
    const directory = join(path, "identity", "credential-keys")
    await mkdir(directory, { recursive: true })
    const texts = { "0": newFernetKeyText(), "3": newFernetKeyText(), "4": newFernetKeyText() }
    for (const [name, text] of Object.entries(texts)) await writeFile(join(directory, name), text)
    const keys = await open(database, path)
    const { rows } = await sql<{
      number: number
      is_staged: boolean
    }>`select number, primary_at is null as is_staged
      from identity.fernet_key where ring = 'credential' order by number`.execute(database.db)
    assert.deepEqual(
      rows.map((row) => row.is_staged),
      [false, false, true],
    )
    await assert.rejects(access(directory))
    const former = createKeyRing(systemClock, async () => {})
    former.load([
      { ring: "credential", number: 1, text: texts["3"], createdAt: new Date(), primaryAt: new Date() },
    ])
    assert.deepEqual(keys.rings.credential.decrypt(former.encrypt(payload, 1))?.payload, payload)
    assert.ok(keys.rings.credential.isOutdated(former.encrypt(payload, 1)))
  })
})
