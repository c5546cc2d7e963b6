import { lstat, open, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { walk } from "./files.ts"
import { findFile } from "./rootfs.ts"
import { run } from "./run.ts"

const sectorBytes = 512
/** The usual start of a first partition; the boot loader lives in the gap before it. */
const partitionStartSector = 2048
/** The last three are for emulated processors: a busy host must not look like a broken timer, and two saved waits. */
const kernelCommandLine =
  "root=LABEL=kumoi-root console=tty1 console=ttyS0,115200n8 no_timer_check cryptomgr.notests noreplace-smp"

export interface DiskInput {
  /** The staged root file system. */
  tree: string
  /** Paths in the tree (without leading slash) that belong to uid 1000, everything below included. */
  userFolders: string[]
  roots: string[]
  sizeMib: number
  /** Something that is the same for the same content: ids in the image are made from it. */
  digest: string
  workFolder: string
  output: string
}

/** Makes the whole-disk image: boot sector, GRUB, one ext4 partition. Mounts nothing and needs no privilege. */
export async function makeDisk(input: DiskInput): Promise<void> {
  const raw = join(input.workFolder, "disk.raw")
  const disk = await open(raw, "w")
  try {
    await disk.truncate(input.sizeMib * 1024 * 1024)
    await disk.write(await makeBootArea(input), 0, undefined, 0)
  } finally {
    await disk.close()
  }
  await makeFileSystem(input, raw)
  // -c: an image is written once and copied often.
  await run("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", "-c", raw, input.output])
}

/** Sector 0 with the partition table, and GRUB in the sectors after it. */
async function makeBootArea({ roots, workFolder, digest, sizeMib }: DiskInput): Promise<Buffer> {
  const config = join(workFolder, "grub.cfg")
  const core = join(workFolder, "core.img")
  await writeFile(config, `linux /boot/vmlinuz ${kernelCommandLine}\ninitrd /boot/initrd.img\nboot\n`)
  const boot = await findFile(roots, "usr/lib/grub/i386-pc/boot.img")
  const libraries = roots
    .slice(0, -1)
    .map((root) => `${root}/usr/lib/x86_64-linux-gnu:${root}/lib/x86_64-linux-gnu`)
  await run(
    await findFile(roots, "usr/bin/grub-mkimage"),
    // No disk before the comma: GRUB then takes the one the BIOS started from.
    [
      ...["-O", "i386-pc", "-d", boot.slice(0, -"/boot.img".length), "-p", "(,msdos1)/boot/grub"],
      ...["-c", config, "-o", core, "biosdisk", "part_msdos", "ext2", "linux", "boot"],
    ],
    libraries.length > 0 ? { env: { LD_LIBRARY_PATH: libraries.join(":") } } : {},
  )
  // boot.img loads sector 1 and grub-mkimage counted on sector 2 for the rest: both are right as they lie here.
  const sector = await readFile(boot)
  sector.writeUInt32LE(Number.parseInt(digest.slice(0, 8), 16), 440)
  const entry = 446
  sector.fill(0, entry, 510)
  sector[entry] = 0x80
  // 0xfeffff: "use the sector numbers", for a BIOS that thinks in cylinders.
  sector.writeUIntLE(0xfffffe, entry + 1, 3)
  sector[entry + 4] = 0x83
  sector.writeUIntLE(0xfffffe, entry + 5, 3)
  sector.writeUInt32LE(partitionStartSector, entry + 8)
  sector.writeUInt32LE((sizeMib * 1024 * 1024) / sectorBytes - partitionStartSector, entry + 12)
  sector.writeUInt16LE(0xaa55, 510)
  const area = Buffer.concat([sector, await readFile(core)])
  if (area.length > partitionStartSector * sectorBytes)
    throw new Error(`GRUB is too large: ${area.length} bytes`)
  return area
}

async function makeFileSystem(input: DiskInput, raw: string): Promise<void> {
  const offset = partitionStartSector * sectorBytes
  const id = toUuid(input.digest)
  const blocks = (input.sizeMib * 1024 * 1024 - offset) / 4096
  // Named features, so that the defaults of the e2fsprogs at hand do not decide whether GRUB 2.06 can read it.
  const features =
    "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,flex_bg,sparse_super,large_file"
  const limits = `offset=${offset},resize=268435456,lazy_itable_init=0,lazy_journal_init=0,nodiscard,hash_seed=${id},root_owner=0:0`
  // The image says nothing about when and where it was made.
  const env = { E2FSPROGS_FAKE_TIME: "1700000000", SOURCE_DATE_EPOCH: "1700000000" }
  const mke2fs = await findFile(input.roots, "usr/sbin/mke2fs")
  await run(
    mke2fs,
    [
      ...[
        "-q",
        "-F",
        "-t",
        "ext4",
        "-L",
        "kumoi-root",
        "-U",
        id,
        "-b",
        "4096",
        "-I",
        "256",
        "-i",
        "16384",
        "-m",
        "1",
      ],
      ...["-J", "size=4", "-O", `${features},huge_file,dir_nlink,extra_isize,metadata_csum`, "-E", limits],
      ...["-d", input.tree, raw, String(blocks)],
    ],
    { env },
  )
  const device = `${raw}?offset=${offset}`
  const commands = await ownerCommands(input.tree, input.userFolders)
  const debugfs = await findFile(input.roots, "usr/sbin/debugfs")
  if (commands) await run(debugfs, ["-w", "-f", "-", device], { env, input: commands })
  await run(await findFile(input.roots, "usr/sbin/e2fsck"), ["-fn", device], { env })
}

/** mke2fs copies the owners of the staged files; the builder may be anybody, so they are set right in the image. */
async function ownerCommands(tree: string, userFolders: string[]): Promise<string> {
  const lines: string[] = []
  for (const path of await walk(tree)) {
    const isUsers = userFolders.some((folder) => path === folder || path.startsWith(`${folder}/`))
    const owner = isUsers ? 1000 : 0
    const { uid, gid } = await lstat(join(tree, path))
    if (uid !== owner) lines.push(`sif "/${path}" uid ${owner}`)
    if (gid !== owner) lines.push(`sif "/${path}" gid ${owner}`)
  }
  return lines.length > 0 ? `${lines.join("\n")}\n` : ""
}

function toUuid(digest: string): string {
  const hex = digest.slice(0, 32)
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `4${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join("-")
}

/**
 * The kernel for GRUB, with another preferred load address in its header (bytes 0x258 on). GRUB loads to 1 MiB anyway
 * and would then copy 54 MiB up byte by byte, 1.4 s on an emulated processor; the kernel itself moves only what is
 * needed, in words, to where it was built for.
 */
export function preferLowLoadAddress(kernel: Buffer): Buffer {
  const copy = Buffer.from(kernel)
  const isKnownHeader = copy.toString("latin1", 0x202, 0x206) === "HdrS" && copy.readUInt16LE(0x206) >= 0x020a
  if (isKnownHeader) copy.writeBigUInt64LE(0x100000n, 0x258)
  return copy
}
