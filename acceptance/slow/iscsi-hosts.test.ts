// Two hosts, and a back end of one of them whose volumes the other reaches by iSCSI: real guests, by the stock client,
// out of the cloud's own network namespaces.
import assert from "node:assert/strict"
import { chmodSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { eventually, isRoot, sshOptions, TestCloud } from "../cloud.ts"
import { cloudAddress, hostBridges, TestHost } from "../hosts.ts"
import { Session } from "../session.ts"

describe("volumes of another host", { skip: isRoot ? false : "real networks need root" }, () => {
  let cloud: TestCloud
  let admin: Session
  let host: TestHost | undefined
  const directory = mkdtempSync(join(tmpdir(), "kumoi-acceptance-san-"))
  const ids = new Map<string, string>()
  const addresses = new Map<string, string>()
  const keyFile = () => join(cloud.dataDir, "test-key")

  before(async () => {
    chmodSync(directory, 0o711)
    const file = { name: "file", kind: "file" }
    const backEnds = (san: object) => ({
      KUMOI_AGENT_VOLUME_BACK_ENDS: JSON.stringify([file, { name: "san", kind: "iscsi", ...san }]),
      KUMOI_AGENT_STORAGE_NETWORKS: '["10.98.0.0/24"]',
    })
    // Not the addresses between which the tunnels go.
    const env = backEnds({ portal: "10.98.0.1", directory })
    const flags = ["--listen", cloudAddress]
    const bridges = { ...hostBridges, "br-storage": "10.98.0.1/24" }
    cloud = await TestCloud.start({ hypervisor: "qemu", network: "ovn", flags, bridges, env })
    admin = await Session.open(cloud, "admin")
    host = await TestHost.make(cloud, 2, backEnds({}))
    await host.addStorage("br-storage", "10.98.0.2/24")
    await host.join()
    await admin.createKey("key", keyFile())
    await admin.letIn()
    const spec = ["--property", "volume_backend_name=san", "san"]
    await client("volume", "type", "create", ...spec)
    await eventually("both back ends", async () => {
      return (await client("volume", "service", "list", "-f", "value")).match(/@san /g)?.length === 2
    })
  })
  after(async () => {
    await host?.[Symbol.asyncDispose]()
    await cloud?.[Symbol.asyncDispose]()
    rmSync(directory, { recursive: true })
  })

  const client = (...args: string[]) => cloud.openstack("admin", ...args)
  const idOf = (name: string) => ids.get(name) ?? assert.fail(`there is no ${name}`)

  async function boot(name: string, where: string): Promise<void> {
    const id = await admin.createServer({ name, host: where, key_name: "key" })
    ids.set(name, id)
    await admin.untilStatus(id, "ACTIVE")
    addresses.set(name, await admin.giveFloatingIp(id))
    await eventually(`ssh into ${name}`, async () => (await inGuest(name, "hostname")) === name)
  }

  async function inGuest(name: string, command: string): Promise<string> {
    const args = ["-i", keyFile(), ...sshOptions, `cirros@${addresses.get(name)}`, command]
    return (await cloud.inside("ssh", args, { timeoutMs: 90_000 })).stdout.trim()
  }

  async function volumeIs(status: string): Promise<string> {
    return await eventually(`the volume to be ${status}`, async () => {
      const shown = JSON.parse(await client("volume", "show", "data", "-f", "json"))
      return shown.status === status && shown["os-vol-host-attr:host"]
    })
  }

  async function tgtd(): Promise<{ pid: number; state: string }> {
    const { components } = JSON.parse((await cloud.kumoi("status", "--json")).stdout)
    return components.find(({ name }: { name: string }) => name === "tgtd-san") ?? assert.fail("no tgtd")
  }

  const disk = "d=/dev/$(basename $(ls -d /sys/block/vd[b-z] | tail -1))"

  test("a guest of one host writes to a volume of the other, also while tgtd is killed", async () => {
    await boot("away", "host2")
    await client("volume", "create", "--size", "1", "--type", "san", "data")
    const lies = await volumeIs("available")
    assert.match(lies, /@san#san$/)
    assert.doesNotMatch(lies, /host2/)
    await client("server", "add", "volume", idOf("away"), "data")
    assert.equal(await volumeIs("in-use"), lies)
    await eventually("the disk", () => inGuest("away", "ls /sys/block/vdb"))
    await inGuest(
      "away",
      `${disk}; sudo mkfs.ext4 -q -F $d && sudo mkdir -p /mnt/data && sudo mount $d /mnt/data`,
    )
    const writing = inGuest(
      "away",
      "for i in 1 2 3 4 5 6 7 8; do sudo dd if=/dev/urandom of=/mnt/data/$i bs=1M count=4 conv=fsync 2>/dev/null || exit 1; sleep 0.5; done; echo whole",
    )
    const before = await tgtd()
    process.kill(before.pid, "SIGKILL")
    await eventually("tgtd to be back", async () => {
      const now = await tgtd()
      return now.state === "running" && now.pid !== before.pid
    })
    assert.equal(await writing, "whole")
    await inGuest(
      "away",
      "cd /mnt/data && md5sum [0-9]* | sudo tee sums >/dev/null; cd /; sudo umount /mnt/data",
    )
    await client("server", "remove", "volume", idOf("away"), "data")
    assert.equal(await volumeIs("available"), lies)
  })

  test("a guest of the volume's own host reads it", async () => {
    const own = (await volumeIs("available")).replace(/@.*/, "")
    await boot("own", own)
    await eventually("the volume to be free", () => client("server", "add", "volume", idOf("own"), "data"))
    await volumeIs("in-use")
    await eventually("the disk", () => inGuest("own", "ls /sys/block/vdb"))
    const check = `${disk}; sudo mkdir -p /mnt/data && sudo mount $d /mnt/data && cd /mnt/data && md5sum -c sums >/dev/null && echo same`
    assert.equal(await inGuest("own", check), "same")
  })

  test("a server begins with such a volume, made of an image, and starts again with it", async () => {
    const image = await client("image", "list", "-f", "value", "-c", "ID", "--limit", "1")
    assert.ok(image)
    await client("volume", "create", "--size", "1", "--type", "san", "--image", image, "root")
    await eventually("the root", async () => {
      return (await client("volume", "show", "root", "-f", "value", "-c", "status")) === "available"
    })
    const { server } = await admin.must("POST", "/compute/v2.1/servers", {
      server: {
        ...{ name: "rooted", flavorRef: "1", availability_zone: "nova:host2", key_name: "key" },
        networks: [{ uuid: await admin.networkId("private") }],
        block_device_mapping_v2: [
          {
            ...{ boot_index: 0, source_type: "volume", destination_type: "volume" },
            uuid: await client("volume", "show", "root", "-f", "value", "-c", "id"),
          },
        ],
      },
    })
    ids.set("rooted", server.id)
    await admin.untilStatus(server.id, "ACTIVE")
    addresses.set("rooted", await admin.giveFloatingIp(server.id))
    await eventually("ssh into rooted", async () => (await inGuest("rooted", "hostname")) === "rooted")
    await inGuest("rooted", "echo kept > note; sync")
    await client("server", "reboot", "--hard", "--wait", server.id)
    await eventually("the note", async () => (await inGuest("rooted", "cat note")) === "kept")
  })
})
