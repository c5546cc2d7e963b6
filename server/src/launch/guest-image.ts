// The image that every cloud begins with: made once on this machine and shared by its clouds.
import { existsSync } from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"
import type { FirstImage } from "../main.ts"
import { exec } from "../platform/exec/exec.ts"
import type { Logger } from "../platform/log/log.ts"
import type { CloudDir } from "./cloud-dir.ts"
import type { StartPlan } from "./plan.ts"

const imageName = "kumoi-guest"

export interface GuestImageOptions {
  plan: StartPlan
  dir: CloudDir
  log: Logger
  say: (line: string) => void
}

export async function guestImage(options: GuestImageOptions): Promise<FirstImage> {
  if (options.plan.hypervisor === "fake") return await blankImage(options.dir)
  const { buildGuestImage } = await import("../../../guest/build.ts")
  const made = await buildGuestImage({ outputDir: guestCacheDir(), log: options.say })
  return {
    name: imageName,
    path: made.diskPath,
    diskFormat: "qcow2",
    minDiskGib: made.minDiskGib,
    // Glance's minimum is compared with the flavor's RAM.
    minRamMib: made.minRamMib,
    properties: { os_distro: "kumoi", hw_rng_model: "virtio" },
  }
}

/** Shared by the clouds of this machine. */
export function guestCacheDir(): string {
  return process.getuid?.() === 0 ? "/var/cache/kumoi/guest" : join(homedir(), ".cache/kumoi/guest")
}

/** For the fake hypervisor, which never boots it: a small empty disk, made without QEMU's tools. */
async function blankImage(dir: CloudDir): Promise<FirstImage> {
  const path = join(dir.path, "blank.raw")
  if (!existsSync(path)) await exec("truncate", ["--size=1M", path])
  return { name: imageName, path, diskFormat: "raw", minDiskGib: 0, minRamMib: 0, properties: {} }
}
