// A guest (tcg) that goes to another host while it runs, with volumes in a real Ceph.
import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { type OneNodeCeph, startCeph } from "../../server/src/agent/testing/one-node-ceph.ts"
import {
  SharedSides,
  sharedBackend,
  untilWritten,
  volumeWriter,
} from "../../server/src/agent/testing/shared-sides.ts"
import { RbdVolumeDriver } from "../../server/src/agent/volumes/rbd-driver.ts"

const root = mkdtempSync(join(tmpdir(), "kumoi-rbd-live-"))
const mib = 1024 * 1024
let ceph: OneNodeCeph
const sides = new SharedSides({
  driverOf: (host) =>
    new RbdVolumeDriver({ name: sharedBackend, host, dir: join(root, `keys-${host}`), ...ceph.access }),
})
const { here, there } = sides

before(async () => {
  ceph = await startCeph(join(root, "ceph"))
  await sides.open()
})
after(async () => {
  await sides.dispose()
  await ceph?.[Symbol.asyncDispose]()
  rmSync(root, { recursive: true })
})

test("nothing is lost, whether it stays in the end or goes", async () => {
  const { writes, stop, sumOfWritten, sumOfRead } = volumeWriter
  const boot = { ...(await here.guests.makeVolume()), bootIndex: 0 }
  const secret = await sides.makeEncrypted(48 * mib)
  const guest = await sides.boot({ root: boot, disks: [secret] })
  const { serverId, spec } = guest
  const fill = "dd if=/dev/urandom of=/dev/$d bs=1M count=8 conv=fsync,notrunc 2>/dev/null; "
  const read = "echo 3 > /proc/sys/vm/drop_caches; dd if=/dev/$d bs=1M count=8 2>/dev/null | md5sum"
  const sum = await here.guests.tell(guest, secret.name, fill + read)
  await here.guests.tell(guest, boot.name, writes)
  await here.guests.tell(guest, boot.name, untilWritten)
  const first = await sides.send(spec, { generation: 2, fence: 1 })
  assert.deepEqual(first.streams, ["memory"])
  await Promise.all([first.sent, first.received])
  // It stays, with the other one still there.
  await here.agent.handle("vm.stay", { serverId, power: "running", fence: { generation: 2, fence: 2 } })
  const n = Number(await here.guests.tell(guest, boot.name, untilWritten))
  await here.guests.tell(guest, boot.name, `until [ $(cat /n) -gt ${n} ]; do sleep 0.1; done`)
  await there.agent.handle("vm.destroy", { serverId, fence: { generation: 2, fence: 2 } })
  const second = await sides.send(spec, { generation: 3, fence: 1 })
  await Promise.all([second.sent, second.received])
  await there.agent.handle("vm.unpause", { serverId, fence: { generation: 4, fence: 1 } })
  await here.agent.handle("vm.destroy", { serverId, fence: { generation: 4, fence: 0 } })
  await there.guests.tell(guest, boot.name, stop)
  const written = await there.guests.tell(guest, boot.name, sumOfWritten)
  assert.ok(Number(written.split(" ")[0]) > n)
  assert.equal(await there.guests.tell(guest, boot.name, sumOfRead), written)
  assert.equal(await there.guests.tell(guest, secret.name, read), sum)
  const own = { generation: 5, fence: 1 }
  await there.agent.handle("vm.unplug_volume", { serverId, volumeId: secret.name, fence: own })
  await there.agent.handle("vm.plug_volume", { serverId, disk: secret, fence: own })
  assert.equal(await there.guests.tell(guest, secret.name, read), sum)
})
