// Volumes by the stock client, in real guests: what one writes another reads, whatever happened in between.
import assert from "node:assert/strict"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { eventually, isRoot, sshOptions, TestCloud } from "./cloud.ts"
import { Session } from "./session.ts"

describe("volumes in real guests, by the stock client", {
  skip: isRoot ? false : "real machines and networks need root",
}, () => {
  let cloud: TestCloud
  let session: Session
  const ids = new Map<string, string>()
  const addresses = new Map<string, string>()
  const keyFile = () => join(cloud.dataDir, "test-key")
  const dataDir = () => join(cloud.dataDir, "agent/volumes/file")

  before(async () => {
    cloud = await TestCloud.start({ hypervisor: "qemu", network: "ovn" })
    session = await Session.open(cloud, "demo")
    await session.createKey("key", keyFile())
    await session.letIn()
    ids.set("first", await session.createServer({ name: "first", key_name: "key" }))
  })
  after(async () => await cloud?.[Symbol.asyncDispose]())

  const demo = (...words: string[]) => cloud.openstack("demo", ...words)
  const stock = <T>(...words: string[]) => cloud.openstackJson<T>("demo", ...words)
  const idOf = (name: string) => ids.get(name) ?? assert.fail(`there is no ${name}`)

  async function addressOf(server: string): Promise<string> {
    const known = addresses.get(server)
    if (known !== undefined) return known
    await session.untilStatus(idOf(server), "ACTIVE")
    const address = await session.giveFloatingIp(idOf(server))
    addresses.set(server, address)
    return address
  }

  async function inGuest(server: string, command: string): Promise<string> {
    const address = await addressOf(server)
    const args = ["-i", keyFile(), ...sshOptions, `cirros@${address}`, command]
    return (await cloud.inside("ssh", args, { timeoutMs: 60_000 })).stdout.trim()
  }

  async function untilSsh(server: string): Promise<void> {
    await eventually(`ssh into ${server}`, async () => (await inGuest(server, "echo in")) === "in")
  }

  interface Volume {
    id: string
    status: string
    size: number
    attachments: { device: string }[]
  }

  async function untilVolume(name: string, status: string): Promise<Volume> {
    return await eventually(`volume ${name} to be ${status}`, async () => {
      const { volumes } = await session.get(`/volume/v3/volumes/detail?name=${name}`)
      const [volume] = volumes as Volume[]
      assert.notEqual(volume?.status, "error")
      return volume?.status === status && volume
    })
  }

  const hidden = "nobody may read this"
  let sum = ""

  test("a volume is made and attached while the guest runs, and takes a file system", async () => {
    await demo("volume", "create", "--size", "1", "data")
    ids.set("data", (await untilVolume("data", "available")).id)
    await untilSsh("first")
    const { Device } = await stock<{ Device: string }>("server", "add", "volume", "first", "data")
    assert.equal(Device, "/dev/vdb")
    await untilVolume("data", "in-use")
    // The guest's kernel looks at a new disk in its own time.
    const seen = await eventually("the disk in the guest", () =>
      inGuest("first", "cat /sys/block/vdb/size /sys/block/vdb/serial"),
    )
    assert.deepEqual(seen.split("\n"), [String(1024 ** 3 / 512), idOf("data").slice(0, 20)])
    const written = await inGuest(
      "first",
      "sudo mkfs.ext4 -q /dev/vdb && sudo mkdir -p /mnt && sudo mount /dev/vdb /mnt && " +
        "(seq 1 100000 | sudo tee /mnt/file | sha256sum) && sync",
    )
    sum = written.split(" ")[0] ?? ""
    assert.match(sum, /^[0-9a-f]{64}$/)
  })

  test("a snapshot of it while the guest has it, and a larger size that the guest sees", async () => {
    await demo("volume", "snapshot", "create", "--force", "--volume", "data", "then")
    await eventually("the snapshot", async () => {
      const { snapshots } = await session.get("/volume/v3/snapshots")
      return snapshots[0]?.status === "available"
    })
    await inGuest("first", "echo later | sudo tee /mnt/later >/dev/null; sync")
    await demo("--os-volume-api-version", "3.42", "volume", "set", "--size", "2", "data")
    assert.equal((await untilVolume("data", "in-use")).size, 2)
    assert.equal(await inGuest("first", "cat /sys/block/vdb/size"), String(2 * (1024 ** 3 / 512)))
  })

  test("what stands in the way of deleting it is said", async () => {
    const refused = await session.send("DELETE", `/volume/v3/volumes/${idOf("data")}`)
    assert.equal(refused.status, 400)
    assert.match(refused.body.badRequest.message, /status must be available/)
    const { attachments } = await session.must("GET", "/volume/v3/attachments", undefined, {
      "openstack-api-version": "volume 3.27",
    })
    const behind = await session.send("DELETE", `/volume/v3/attachments/${attachments[0].id}`, undefined, {
      "openstack-api-version": "volume 3.27",
    })
    assert.equal(behind.status, 409, "who has it in a machine lets go of it by the compute service")
  })

  test("a server boots from a volume, with a volume of the snapshot beside it", async () => {
    await demo("volume", "create", "--snapshot", "then", "copy")
    await untilVolume("copy", "available")
    const words = ["--flavor", "m1.nano", "--network", "private", "--key-name", "key"]
    await demo(
      ...["server", "create", "--image", "kumoi-guest", "--boot-from-volume", "1", ...words],
      ...["--block-device-mapping", "vdb=copy:volume::false", "second"],
    )
    const { servers } = await session.get("/compute/v2.1/servers?name=second")
    ids.set("second", servers[0].id)
    await untilSsh("second")
    const shown = await inGuest(
      "second",
      "sudo mkdir -p /mnt && sudo mount /dev/vdb /mnt && sha256sum /mnt/file; ls /mnt/later 2>&1; true",
    )
    assert.match(shown, new RegExp(`^${sum} `), "what was flushed before the snapshot is in it")
    assert.match(shown, /No such file/, "and what came after it is not")
    await inGuest("second", "echo of the second | sudo tee /root-file /mnt/second >/dev/null; sync")
  })

  test("what a guest writes to an encrypted volume is noise on the host's disk", async () => {
    const how = ["--encryption-provider", "luks", "--encryption-cipher", "aes-xts-plain64"]
    const where = ["--encryption-key-size", "256", "--encryption-control-location", "front-end"]
    await cloud.openstack("admin", "volume", "type", "create", ...how, ...where, "secret")
    await demo("volume", "create", "--size", "1", "--type", "secret", "hidden")
    ids.set("hidden", (await untilVolume("hidden", "available")).id)
    await demo("server", "add", "volume", "second", "hidden")
    await untilVolume("hidden", "in-use")
    await inGuest("second", `yes '${hidden}' | head -n 100000 | sudo dd of=/dev/vdc bs=64k; sync`)
    const kept = readFileSync(join(dataDir(), idOf("hidden"), "volume.raw"))
    assert.equal(kept.subarray(0, 4).toString(), "LUKS")
    assert.ok(!kept.includes(hidden))
  })

  test("killed in the middle, all of it goes on: the cloud's process, then a guest", async () => {
    await cloud.killForGood()
    await cloud.up()
    assert.equal(await inGuest("second", "cat /root-file"), "of the second")
    await session.act(idOf("second"), "reboot", { type: "HARD" })
    await session.untilStatus(idOf("second"), "ACTIVE")
    await untilSsh("second")
    assert.equal(await inGuest("second", "cat /root-file"), "of the second", "its root disk is a volume")
    assert.equal(await inGuest("second", "sudo head -n 1 /dev/vdc"), hidden, "its new process has the key")
  })

  test("detached and deleted, nothing is left", async () => {
    await inGuest("first", "sudo umount /mnt")
    await demo("server", "remove", "volume", "first", "data")
    await untilVolume("data", "available")
    assert.equal(await inGuest("first", "ls /dev/vdb 2>/dev/null; true"), "")
    for (const server of ["first", "second"]) await session.deleteServer(idOf(server))
    for (const { id } of (await session.get("/volume/v3/volumes")).volumes)
      await eventually(`volume ${id} to be free`, async () => {
        const { volume } = await session.get(`/volume/v3/volumes/${id}`)
        return volume.status === "available"
      })
    await demo("volume", "delete", "--purge", "data")
    for (const { id } of (await session.get("/volume/v3/volumes")).volumes)
      if (id !== idOf("data")) await session.must("DELETE", `/volume/v3/volumes/${id}`)
    await eventually("all volumes to be gone", async () => {
      const { volumes } = await session.get("/volume/v3/volumes")
      return volumes.length === 0
    })
    const left = existsSync(dataDir()) ? readdirSync(dataDir()).filter((name) => name !== "lost+found") : []
    assert.deepEqual(left, [])
  })
})
