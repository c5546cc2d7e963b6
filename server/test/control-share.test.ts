// What control hosts get over the door, and no other host: by whose token, and what of it is taken.
import assert from "node:assert/strict"
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { checkDirectories, keepFiles, shareControl } from "../src/launch/control-host/share.ts"
import { DoorClient } from "../src/launch/joined/door-client.ts"
import { joinCloud } from "../src/launch/joined/join.ts"
import { anyHost, HostsCloud } from "./hosts-cloud.ts"

let at: HostsCloud
let scratch: string

before(async () => {
  at = await HostsCloud.start()
  scratch = mkdtempSync(join(tmpdir(), "kumoi-share-"))
})
after(async () => {
  await at?.[Symbol.asyncDispose]()
  rmSync(scratch, { recursive: true, force: true })
})

const joins = async (name: string, how: { isControl: boolean; token: boolean }) => {
  const line = await at.hosts.token({ ...anyHost, isControl: how.token })
  const dataDir = join(scratch, name)
  return await joinCloud({ dataDir, ...line, name, address: null, isControl: how.isControl })
}

test("a token makes the kind of host that it is for", async () => {
  const other = { code: "host.token.control", kind: "forbidden" }
  await assert.rejects(joins("wrong1", { isControl: true, token: false }), other)
  await assert.rejects(joins("wrong2", { isControl: false, token: true }), other)
  await joins("host2", { isControl: true, token: true })
  await joins("host3", { isControl: false, token: false })
  const members = await at.hosts.members()
  assert.deepEqual(
    members.map(({ name, isControl }) => `${name} ${isControl}`),
    ["host2 true", "host3 false"],
  )
})

test("the door says where the doors of all control hosts are", async () => {
  const member = await joins("host4", { isControl: false, token: false })
  using client = new DoorClient({ ...member, dataDir: join(scratch, "host4") })
  const { doors = [] } = await client.settings()
  assert.equal(doors[0], member.door)
})

test("secrets are for control hosts alone", async () => {
  const member = await joins("host5", { isControl: false, token: false })
  using client = new DoorClient({ ...member, dataDir: join(scratch, "host5") })
  const refused = { code: "host.member.no_control", kind: "forbidden" }
  await assert.rejects(client.openDatabase("nb"), refused)
  // The test's cloud has nothing to share; nor does the door say so to any host.
  await assert.rejects(client.controlShare(), { kind: "not_found" })
})

describe("what is shared", () => {
  const dir = () => join(scratch, "sharing")
  const config = () => at.cloud.cloud.platform.config
  const shared = () => ({
    ...config(),
    image: { ...config().image, storeDir: join(scratch, "images") },
    blockStorage: {
      ...config().blockStorage,
      backup: { ...config().blockStorage.backup, directory: join(scratch, "backups") },
    },
  })
  const of = { brokerUrl: undefined, networkId: "0a1b2c3d" }
  const databaseUrl = "postgres://kumoi:secret@db/kumoi"

  test("only of a cloud on the operator's PostgreSQL, with directories that others have too", async () => {
    const { dataDir } = config()
    await assert.rejects(shareControl({ ...of, dataDir, config: shared(), databaseUrl: undefined }), {
      code: "cli.control.built_in_database",
      message: /DATABASE_URL/,
    })
    await assert.rejects(shareControl({ ...of, dataDir, config: config(), databaseUrl }), {
      code: "cli.control.not_shared",
      message: /image\.storeDir/,
    })
  })

  test("secrets, rules and configuration come whole, readable by their owner alone", async () => {
    const { dataDir } = config()
    writeFileSync(join(dataDir, "policy.yaml"), "{}\n")
    const share = await shareControl({ ...of, dataDir, config: shared(), databaseUrl })
    assert.equal(share.databaseUrl, databaseUrl)
    assert.equal(share.config.image?.storeDir, join(scratch, "images"))
    assert.equal(share.config.agent, undefined, "what is each host's own")
    await keepFiles(dir(), share.files)
    for (const path of ["identity/key-secret", "hosts/ca.key", "policy.yaml"]) {
      const kept = join(dir(), path)
      assert.deepEqual(readFileSync(kept), readFileSync(join(dataDir, path)))
      assert.equal(statSync(kept).mode & 0o777, 0o600, path)
    }
    await keepFiles(
      dir(),
      share.files.filter(({ path }) => path !== "policy.yaml"),
    )
    assert.equal(existsSync(join(dir(), "policy.yaml")), false, "rules that are gone go")
    checkDirectories(share.directories)
  })

  test("a directory that is another one is named", async () => {
    const { directories } = await shareControl({
      ...of,
      dataDir: config().dataDir,
      config: shared(),
      databaseUrl,
    })
    const other = directories.map((each) => ({ ...each, mark: "another" }))
    assert.throws(() => checkDirectories(other), {
      code: "cli.control.directory_other",
      message: /image\.storeDir/,
    })
  })

  test("no file lands outside what is shared", async () => {
    for (const path of ["../passwd", "identity/../../x", "cloud.json", "/etc/passwd"])
      await assert.rejects(keepFiles(dir(), [{ path, content: "" }]), { code: "cli.control.path" }, path)
  })
})
