import { readFile } from "node:fs/promises"
import { basename, join } from "node:path"
import { exists, walk } from "./files.ts"
import { runForBytes } from "./run.ts"

/** Loaded by the initramfs, in this order: what the boot disk and the network card of an ordinary server need. */
export const bootModules = [
  "virtio_ring",
  "virtio",
  "virtio_pci_modern_dev",
  "virtio_pci_legacy_dev",
  "virtio_pci",
  "failover",
  "net_failover",
  "virtio_net",
  "virtio_blk",
]

/** Loaded by the initramfs only when no virtio disk holds the root file system. */
const otherDiskDrivers = ["virtio_scsi", "ata_piix", "sd_mod"]

/** Goes on the disk for later: config drives, power button, console, entropy, balloon, and what tests plug in. */
const diskModules = [
  ...otherDiskDrivers,
  "8021q",
  "button",
  "evdev",
  "isofs",
  "loop",
  "nls_ascii",
  "nls_cp437",
  "nls_iso8859-1",
  "nls_utf8",
  "sr_mod",
  "vfat",
  "virtio-rng",
  "virtio_balloon",
  "virtio_console",
  "vmxnet3",
]

export interface KernelModule {
  name: string
  content: Buffer
  /** Below lib/modules/<release>/. */
  path: string
}

export interface ModuleSet {
  boot: KernelModule[]
  otherDisks: KernelModule[]
  disk: KernelModule[]
}

export async function collectModules(roots: string[], release: string): Promise<ModuleSet> {
  const folder = await findFolder(roots, release)
  const paths = new Map<string, string>()
  for (const path of await walk(join(folder, "kernel"))) {
    const name = /^(.+)\.ko(\.xz|\.zst|\.gz)?$/.exec(basename(path))?.[1]
    if (name) paths.set(canonical(name), join("kernel", path))
  }
  const cache = new Map<string, KernelModule>()
  const withNeeds = async (names: string[], found: KernelModule[] = []): Promise<KernelModule[]> => {
    for (const name of names.map(canonical)) {
      const path = paths.get(name)
      // Built into this kernel, or not made any more: either way there is nothing to load.
      if (!path) continue
      const module = cache.get(name) ?? {
        name,
        content: await readModule(join(folder, path)),
        path: path.replace(/\.ko\.\w+$/, ".ko"),
      }
      cache.set(name, module)
      await withNeeds(moduleNeeds(module.content), found)
      if (!found.includes(module)) found.push(module)
    }
    return found
  }
  const boot = await withNeeds(bootModules)
  const otherDisks = (await withNeeds(otherDiskDrivers)).filter((module) => !boot.includes(module))
  return { boot, otherDisks, disk: await withNeeds([...bootModules, ...diskModules]) }
}

function canonical(name: string): string {
  return name.replaceAll("-", "_")
}

async function findFolder(roots: string[], release: string): Promise<string> {
  for (const root of roots) {
    for (const lib of ["lib/modules", "usr/lib/modules"]) {
      const folder = join(root, lib, release)
      if (await exists(join(folder, "kernel"))) return folder
    }
  }
  throw new Error(`no kernel modules of ${release} found`)
}

async function readModule(path: string): Promise<Buffer> {
  if (path.endsWith(".ko")) return readFile(path)
  const program = path.endsWith(".xz") ? "xz" : path.endsWith(".zst") ? "zstd" : "gzip"
  return runForBytes(program, ["-dc", path])
}

/** A module says what it needs in its .modinfo section: "depends=a,b" between zero bytes. */
function moduleNeeds(content: Buffer): string[] {
  const mark = Buffer.from("\0depends=")
  const at = content.indexOf(mark)
  if (at < 0) return []
  const start = at + mark.length
  return content.toString("latin1", start, content.indexOf(0, start)).split(",").filter(Boolean)
}
