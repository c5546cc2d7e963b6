// A Debian disk image that is not ours: the distribution's own kernel, systemd, sshd and cloud-init, put together by
// debootstrap. Whatever debootstrap mounts is mounted in a mount namespace that ends with it, also when it is killed.
import { createHash, randomBytes } from "node:crypto"
import { existsSync } from "node:fs"
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { run } from "../cloud.ts"

/** Beside the small guest image: shared by the checkouts of this machine. */
const cacheDir = "/var/cache/kumoi"
const suite = "bookworm"
const sizeMib = 2048
const packages = [
  ...["linux-image-cloud-amd64", "systemd-sysv", "udev", "dbus", "kmod", "iproute2", "ifupdown", "netbase"],
  ...["cloud-init", "cloud-guest-utils", "isc-dhcp-client", "openssh-server", "sudo", "ca-certificates"],
  // debootstrap does not look for who provides a virtual package.
  "python3-cffi-backend",
  // Boot sector and loader are taken from the image itself.
  ...["grub-common", "grub-pc-bin", "e2fsprogs"],
]
const kernelCommandLine = "root=LABEL=debian-root ro console=tty1 console=ttyS0,115200n8"

const sectorBytes = 512
/** The usual start of a first partition; the boot loader lies in the gap before it. */
const partitionStartSector = 2048
const buildTimeoutMs = 900_000

/** The image's path. The first call makes it, in about two minutes; later ones find it. */
export async function debianImage(say: (line: string) => void): Promise<string> {
  // The recipe is this file.
  const recipe = createHash("sha256")
    .update(await readFile(import.meta.filename))
    .digest("hex")
    .slice(0, 16)
  const final = join(cacheDir, `debian-${suite}-${recipe}`)
  const image = join(final, "disk.qcow2")
  if (existsSync(image)) return image
  await mkdir(cacheDir, { recursive: true, mode: 0o755 })
  await removeLeftovers()
  const work = join(cacheDir, `.debian-${process.pid}-${randomBytes(4).toString("hex")}`)
  await mkdir(join(work, "result"), { recursive: true })
  try {
    const tree = join(work, "tree")
    say(`making a Debian image by debootstrap (${suite})`)
    await bootstrap(tree)
    await settle(tree)
    say("writing the disk")
    const raw = join(work, "disk.raw")
    await writeDisk(tree, raw)
    const compressed = join(work, "result/disk.qcow2")
    const convert = ["convert", "-f", "raw", "-O", "qcow2", "-c", "-W", "-m", "4", raw, compressed]
    await run("qemu-img", convert, { timeoutMs: buildTimeoutMs })
    await rename(join(work, "result"), final).catch((cause) => {
      // Another build was faster.
      if (!existsSync(image)) throw cause
    })
    return image
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** What a build that was killed left behind; the folder's name has the process that made it. */
async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(cacheDir)) {
    const pid = /^\.debian-(\d+)-/.exec(name)?.[1]
    if (pid && !existsSync(`/proc/${pid}`)) await rm(join(cacheDir, name), { recursive: true, force: true })
  }
}

async function bootstrap(tree: string): Promise<void> {
  const mirror = await mirrorOf(suite)
  const wanted = ["--variant=minbase", `--include=${packages.join(",")}`, suite, tree]
  await run(
    "unshare",
    [
      ...["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"],
      ...["debootstrap", ...wanted, ...(mirror ? [mirror] : [])],
    ],
    { timeoutMs: buildTimeoutMs, env: { LC_ALL: "C.UTF-8", DEBIAN_FRONTEND: "noninteractive" } },
  )
}

/** Where this machine's own packages of that suite come from. */
async function mirrorOf(codename: string): Promise<string | undefined> {
  const asked = await run("apt-get", ["indextargets", "--format", "$(CODENAME) $(REPO_URI)"])
  const line = asked.stdout.split("\n").find((each) => each.startsWith(`${codename} `))
  return line?.split(" ")[1]
}

/** Nothing of the machine that it was made on stays in it, and nothing that must be each guest's own. */
async function settle(tree: string): Promise<void> {
  const write = (path: string, text: string) => writeFile(join(tree, path), text)
  await write("etc/fstab", "LABEL=debian-root / ext4 defaults,errors=remount-ro 0 1\n")
  await write("etc/hostname", "debian\n")
  // As the distribution's own cloud image is set: no locale is made at boot, and the host knows its own name.
  await write("etc/cloud/cloud.cfg.d/01_image.cfg", "locale: C.UTF-8\nmanage_etc_hosts: true\n")
  await write("etc/machine-id", "")
  await rm(join(tree, "etc/resolv.conf"), { force: true })
  await write("etc/resolv.conf", "")
  await rm(join(tree, "var/cache/apt/archives"), { recursive: true, force: true })
  await rm(join(tree, "var/lib/apt/lists"), { recursive: true, force: true })
  await mkdir(join(tree, "var/cache/apt/archives/partial"), { recursive: true })
  await mkdir(join(tree, "var/lib/apt/lists/partial"), { recursive: true })
  for (const name of await readdir(join(tree, "etc/ssh")))
    if (name.startsWith("ssh_host_")) await rm(join(tree, "etc/ssh", name))
}

/** One ext4 partition in an MBR, and GRUB before it. No device is attached and nothing is mounted. */
async function writeDisk(tree: string, raw: string): Promise<void> {
  const bootArea = await makeBootArea(tree)
  const disk = await open(raw, "w")
  try {
    await disk.truncate(sizeMib * 1024 * 1024)
    await disk.write(bootArea, 0, undefined, 0)
  } finally {
    await disk.close()
  }
  const offset = partitionStartSector * sectorBytes
  const blocks = (sizeMib * 1024 * 1024 - offset) / 4096
  // GRUB 2.06 does not read the newest features.
  const features = ["-O", "^metadata_csum_seed,^orphan_file", "-E", `offset=${offset}`]
  await run(
    "mke2fs",
    [
      "-q",
      "-F",
      "-t",
      "ext4",
      "-L",
      "debian-root",
      "-b",
      "4096",
      ...features,
      "-d",
      tree,
      raw,
      String(blocks),
    ],
    { timeoutMs: buildTimeoutMs },
  )
}

async function makeBootArea(tree: string): Promise<Buffer> {
  const config = `linux /vmlinuz ${kernelCommandLine}\ninitrd /initrd.img\nboot\n`
  await writeFile(join(tree, "grub.cfg"), config)
  const modules = ["biosdisk", "part_msdos", "ext2", "linux", "boot"]
  await run("chroot", [
    ...[tree, "grub-mkimage", "-O", "i386-pc", "-c", "/grub.cfg", "-o", "/core.img"],
    // No disk before the comma: GRUB then takes the one the BIOS started from.
    ...["-p", "(,msdos1)/boot/grub", ...modules],
  ])
  const sector = await readFile(join(tree, "usr/lib/grub/i386-pc/boot.img"))
  const core = await readFile(join(tree, "core.img"))
  await rm(join(tree, "core.img"))
  await rm(join(tree, "grub.cfg"))
  sector.fill(0, 440, 510)
  sector.writeUInt32LE(0x6465_6269, 440)
  const entry = 446
  sector[entry] = 0x80
  // 0xfeffff: "use the sector numbers", for a BIOS that thinks in cylinders.
  sector.writeUIntLE(0xfffffe, entry + 1, 3)
  sector[entry + 4] = 0x83
  sector.writeUIntLE(0xfffffe, entry + 5, 3)
  sector.writeUInt32LE(partitionStartSector, entry + 8)
  sector.writeUInt32LE((sizeMib * 1024 * 1024) / sectorBytes - partitionStartSector, entry + 12)
  sector.writeUInt16LE(0xaa55, 510)
  const area = Buffer.concat([sector, core])
  if (area.length > partitionStartSector * sectorBytes) throw new Error(`GRUB is too large: ${area.length}`)
  return area
}
