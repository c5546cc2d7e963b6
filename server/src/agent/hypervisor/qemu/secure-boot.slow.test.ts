// Firmware that starts only what is signed: the loader that all of Linux has signed by Microsoft, and no other.
import assert from "node:assert/strict"
import { join } from "node:path"
import { after, test } from "node:test"
import { eventually } from "../../../platform/clock/clock.ts"
import { exec } from "../../../platform/exec/exec.ts"
import { newUuid } from "../../../platform/ids/ids.ts"
import { makeTinyDriver } from "../../testing/tiny-driver.ts"
import { findFirmware } from "./firmware.ts"

const tiny = await makeTinyDriver({ isReachable: true })
const owner = tiny.open()
after(async () => {
  await owner[Symbol.asyncDispose]()
  tiny.dispose()
})
const properties = { hw_firmware_type: "uefi", hw_machine_type: "q35", os_secure_boot: "required" }

/** A disk with nothing but the partition of UEFI's own kind: what is in it firmware starts from as it is. */
async function bootDisk(loader: Record<string, string>): Promise<string> {
  const path = join(tiny.directory, `${newUuid()}.raw`)
  await exec("mkfs.vfat", ["-C", "-n", "BOOT", path, String(8 * 1024)])
  for (const folder of ["::/EFI", "::/EFI/BOOT"]) await exec("mmd", ["-i", path, folder])
  for (const [to, from] of Object.entries(loader)) await exec("mcopy", ["-i", path, from, `::${to}`])
  return path
}

async function start(disk: string) {
  const serverId = newUuid()
  const handle = { serverId, driver: "qemu" }
  const { spec, imageFiles, vifs } = tiny.input(serverId, { properties, ramMib: 512 })
  const size = 8 * 1024 * 1024
  const root = { ...spec.disks[0], name: "root", sizeBytes: size } as (typeof spec.disks)[number]
  const own = { ...spec, kernelImage: null, ramdiskImage: null, kernelCommandLine: null, disks: [root] }
  const files = { ...imageFiles, root: { path: disk, format: "raw" as const, virtualSizeBytes: size } }
  await owner.ensure({ spec: own, vifs, imageFiles: files, power: "running" }, null)
  const says = (pattern: RegExp) =>
    eventually(`${pattern}`, async () => pattern.exec(await owner.consoleLog(handle, null))?.[0])
  return { handle, says }
}

test("a loader that is signed starts, and sees that it may start nothing else", async () => {
  assert.ok(findFirmware()?.secure, "the tests need Debian's ovmf")
  // Where nobody asks for signatures, it starts whatever comes next.
  const disk = await bootDisk({
    "/EFI/BOOT/BOOTX64.EFI": "/usr/lib/shim/shimx64.efi.signed",
    "/EFI/BOOT/grubx64.efi": "/usr/lib/shim/shimx64.efi",
  })
  const { handle, says } = await start(disk)
  await says(/Security Violation/)
  await owner.destroy(handle)
})

test("one that is not is refused by the firmware", async () => {
  const disk = await bootDisk({ "/EFI/BOOT/BOOTX64.EFI": "/usr/lib/shim/shimx64.efi" })
  const { handle, says } = await start(disk)
  await says(/BdsDxe: failed to load .*Access Denied/)
  await owner.destroy(handle)
})
