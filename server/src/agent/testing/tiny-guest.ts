// A guest for tests: Debian's cloud kernel and busybox. Its shell costs about four seconds of a core under tcg. It
// powers off when the button is pressed, and obeys what is typed on its serial console.
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { writeFile } from "node:fs/promises"
import { connect } from "node:net"
import { basename, join } from "node:path"
import { eventually } from "../../platform/clock/clock.ts"
import { newestCloudKernel } from "../hypervisor/qemu/accelerator.ts"
import { bareKernel } from "./bare-kernel.ts"
import { type CpioEntry, packInitramfs } from "./cpio.ts"

const modules = ["virtio_pci", "virtio_blk", "virtio_net", "button", "evdev", "isofs"]
const busybox = "/bin/busybox"

// Each program that is started costs some milliseconds under tcg: what the shell can do itself, it does. And a device
// of PCI takes a quarter of a second: those of the start that nobody looks at, as the balloon, have no driver. The
// columns keep the shell from breaking the lines it shows, of which whoever types looks for the end.
const init = `#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
echo 0 > /sys/bus/pci/drivers_autoprobe
modprobe -a ${modules.join(" ")}
for device in /sys/bus/pci/devices/*; do
  read -r kind < $device/modalias
  case $kind in
    pci:v00001AF4d0000100[01]*|pci:v00001AF4d0000104[12]*) echo \${device##*/} > /sys/bus/pci/drivers/virtio-pci/bind
  esac
done
echo 1 > /sys/bus/pci/drivers_autoprobe
has() { read -r text < $2; echo "GUEST $1 $text"; }
for input in /sys/class/input/event*; do
  read -r name < $input/device/name
  [ "$name" = "Power Button" ] || continue
  ( dd if=/dev/input/\${input##*/} of=/dev/null bs=24 count=1 2>/dev/null && poweroff -f ) &
done
for disk in vda vdb vdc vdd vde; do
  [ -e /dev/$disk ] || continue
  text=$(head -c 32816 /dev/$disk | tr '\\0' '\\n')
  read -r size < /sys/block/$disk/size
  echo "GUEST disk $disk $size start="\${text:0:5} ext4=\${text:1144:16} swap=\${text:4086:10} iso=\${text:32808:8}
done
mount -t iso9660 -o ro /dev/vdd /mnt && has config /mnt/openstack/latest/meta_data.json
for nic in /sys/class/net/*; do has "nic \${nic##*/}" $nic/address; done
read -r name < /sys/class/dmi/id/product_name
has "product $name" /sys/class/dmi/id/product_uuid
echo "GUEST is up"
export COLUMNS=4000
while true; do sh -i </dev/ttyS0 >/dev/ttyS0 2>&1; done
`

export interface TinyGuest {
  kernel: string
  ramdisk: string
  commandLine: string
}

// What the kernel spends its time on under tcg, and no test looks at: tests of its ciphers take half a second, and
// patches of its own code as much.
const haste = "cryptomgr.notests nokaslr noreplace-smp mitigations=off"

export async function makeTinyGuest(directory: string): Promise<TinyGuest> {
  const kernel = newestCloudKernel()
  if (!kernel) throw new Error("the tests need Debian's linux-image-cloud-amd64")
  const release = basename(kernel).replace("vmlinuz-", "")
  const folder = (path: string): CpioEntry => ({ path, mode: 0o040755, data: new Uint8Array() })
  const file = (path: string, data: Uint8Array): CpioEntry => ({ path, mode: 0o100755, data })
  const kept = `lib/modules/${release}`
  const { lines, files } = modulesOf(`/${kept}`)
  const ramdisk = join(directory, "tiny-initramfs.cpio")
  await writeFile(
    ramdisk,
    packInitramfs([
      ...["bin", "proc", "sys", "dev", "mnt", "lib", "lib/modules", kept].map(folder),
      file("bin/busybox", readFileSync(busybox)),
      file("init", Buffer.from(init)),
      file(`${kept}/modules.dep`, Buffer.from(lines.join("\n"))),
      ...files.map((path) => file(`${kept}/${basename(path)}`, readFileSync(join(`/${kept}`, path)))),
    ]),
  )
  return { kernel: bareKernel(kernel), ramdisk, commandLine: `console=ttyS0 quiet panic=-1 ${haste}` }
}

/** The files of the modules, with all that they need, and what modprobe reads of them. */
function modulesOf(directory: string): { lines: string[]; files: string[] } {
  const needs = new Map<string, string[]>()
  for (const line of readFileSync(join(directory, "modules.dep"), "utf8").split("\n")) {
    const [path, rest = ""] = line.split(":")
    if (path) needs.set(path, rest.trim().split(/\s+/).filter(Boolean))
  }
  const named = (name: string) =>
    [...needs.keys()].find((path) => basename(path).replace(/\.ko.*$/, "") === name)
  const tops = modules.flatMap((name) => named(name) ?? [])
  const files = [...new Set(tops.flatMap((path) => [path, ...(needs.get(path) ?? [])]))]
  const lines = files.map(
    (path) => `${basename(path)}: ${(needs.get(path) ?? []).map((n) => basename(n)).join(" ")}`,
  )
  return { lines: [...lines, ""], files }
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
