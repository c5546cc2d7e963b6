import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { type CpioEntry, writeCpio } from "./cpio.ts"
import type { KernelModule, ModuleSet } from "./modules.ts"
import { findFile } from "./rootfs.ts"

const folder = 0o040755
const program = 0o100755
const file = 0o100644
const characterDevice = 0o020600

/** Just enough to find the root disk: busybox, the script, and the drivers in their order. */
export async function buildInitramfs(sources: string, roots: string[], modules: ModuleSet): Promise<Buffer> {
  const entries: CpioEntry[] = ["bin", "dev", "modules", "newroot", "proc", "sys"].map((path) => ({
    path,
    mode: folder,
  }))
  // The kernel opens this before it runs the script; without it the script has no output.
  entries.push({ path: "dev/console", mode: characterDevice, device: { major: 5, minor: 1 } })
  entries.push({ path: "init", mode: program, content: await readFile(join(sources, "initramfs/init")) })
  const busybox = await readFile(await findFile(roots, "usr/bin/busybox"))
  entries.push({ path: "bin/busybox", mode: program, content: busybox })
  for (const module of [...modules.boot, ...modules.otherDisks]) {
    entries.push({ path: `modules/${module.name}.ko`, mode: file, content: module.content })
  }
  entries.push({ path: "modules/order", mode: file, content: lines(modules.boot) })
  entries.push({ path: "modules/other-disks", mode: file, content: lines(modules.otherDisks) })
  // Not compressed: unpacking under an emulated processor takes longer than reading the few bytes that it saves.
  return writeCpio(entries)
}

function lines(modules: KernelModule[]): Buffer {
  return Buffer.from(modules.map((module) => `${module.name}\n`).join(""))
}
