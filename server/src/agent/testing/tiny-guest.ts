// A guest for tests: Debian's cloud kernel and busybox. It reaches its shell in about two seconds under tcg, powers
// off when the button is pressed, and obeys what is typed on its serial console.
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { writeFile } from "node:fs/promises"
import { connect } from "node:net"
import { basename, join } from "node:path"
import { eventually } from "../../platform/clock/clock.ts"
import { newestCloudKernel } from "../hypervisor/qemu/accelerator.ts"
import { type CpioEntry, packInitramfs } from "./cpio.ts"

const modules = ["virtio_pci", "virtio_blk", "virtio_net", "button", "evdev", "isofs"]
const busybox = "/bin/busybox"

const init = `#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /mnt
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in $(cat /modules/order); do insmod /modules/$module; done
for event in /dev/input/event*; do
  ( dd if=$event of=/dev/null bs=24 count=1 2>/dev/null && poweroff -f ) &
done
text() { dd if=/dev/$1 bs=1 skip=$2 count=$3 2>/dev/null | tr -d '\\0'; }
for disk in vda vdb vdc vdd vde; do
  [ -e /dev/$disk ] || continue
  echo "GUEST disk $disk $(cat /sys/block/$disk/size) start=$(text $disk 0 5)" \
    "ext4=$(text $disk 1144 16) swap=$(text $disk 4086 10) iso=$(text $disk 32808 8)"
done
mount -t iso9660 -o ro /dev/vdd /mnt && echo "GUEST config $(cat /mnt/openstack/latest/meta_data.json)"
for nic in $(ls /sys/class/net); do echo "GUEST nic $nic $(cat /sys/class/net/$nic/address)"; done
echo "GUEST product $(cat /sys/class/dmi/id/product_name) $(cat /sys/class/dmi/id/product_uuid)"
echo "GUEST is up"
while true; do sh -i </dev/ttyS0 >/dev/ttyS0 2>&1; done
`

export interface TinyGuest {
  kernel: string
  ramdisk: string
  commandLine: string
}

export async function makeTinyGuest(directory: string): Promise<TinyGuest> {
  const kernel = newestCloudKernel()
  if (!kernel) throw new Error("the tests need Debian's linux-image-cloud-amd64")
  const release = basename(kernel).replace("vmlinuz-", "")
  const files = moduleFiles(`/lib/modules/${release}`)
  const folder = (path: string): CpioEntry => ({ path, mode: 0o040755, data: new Uint8Array() })
  const file = (path: string, data: Uint8Array): CpioEntry => ({ path, mode: 0o100755, data })
  const order = Buffer.from(files.map((path) => basename(path)).join("\n"))
  const ramdisk = join(directory, "tiny-initramfs.gz")
  await writeFile(
    ramdisk,
    packInitramfs([
      folder("bin"),
      folder("modules"),
      file("bin/busybox", readFileSync(busybox)),
      file("init", Buffer.from(init)),
      file("modules/order", order),
      ...files.map((path) => file(`modules/${basename(path)}`, readFileSync(path))),
    ]),
  )
  return { kernel, ramdisk, commandLine: "console=ttyS0 quiet panic=-1" }
}

/** In the order in which they must be loaded. */
function moduleFiles(directory: string): string[] {
  const needs = new Map<string, string[]>()
  for (const line of readFileSync(join(directory, "modules.dep"), "utf8").split("\n")) {
    const [path, rest = ""] = line.split(":")
    if (path) needs.set(path, rest.trim().split(/\s+/).filter(Boolean))
  }
  const ordered: string[] = []
  for (const name of modules) {
    const path = [...needs.keys()].find((key) => basename(key).replace(/\.ko.*$/, "") === name)
    if (path === undefined) continue
    // Dependencies are listed from the nearest to the farthest.
    for (const need of [...(needs.get(path) ?? []).toReversed(), path]) {
      if (!ordered.includes(need)) ordered.push(need)
    }
  }
  return ordered.map((path) => join(directory, path))
}

/**
 * Types a line on the serial console, and stays until the guest echoes it, its end too: QEMU drops what it could not
 * pass on when the connection is closed.
 */
export async function typeOnSerial(socketPath: string, line: string): Promise<void> {
  const socket = connect(socketPath)
  let text = ""
  socket.on("data", (chunk) => {
    text += chunk.toString()
  })
  await once(socket, "connect")
  socket.write(`${line}\n`)
  const end = line.slice(-8)
  try {
    const isEchoed = () => text.includes(end) && text.slice(text.lastIndexOf(end) + end.length).includes("\n")
    await eventually("the echo", isEchoed, { timeoutMs: 60_000 })
  } finally {
    socket.destroy()
  }
}
