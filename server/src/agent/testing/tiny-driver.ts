// The QEMU driver with a tiny machine's input, without an agent around it.
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { systemClock } from "../../platform/clock/clock.ts"
import { silentLogger } from "../../platform/log/log.ts"
import type { EnsureInput, LocalVolume } from "../hypervisor/hypervisor.ts"
import { findByPidFile } from "../hypervisor/qemu/left-behind.ts"
import { QemuHypervisor, type QemuOptions } from "../hypervisor/qemu/qemu.ts"
import { runDirectory } from "../hypervisor/qemu/run-directory.ts"
import type { VmSpec } from "../protocol.ts"
import { FileVolumeDriver } from "../volumes/file-driver.ts"
import { exampleSpec } from "./example-spec.ts"
import { makeTinyGuest } from "./tiny-guest.ts"

/** A user that owns nothing, for QEMU to become when the tests run as root. */
export const testRunAs = process.getuid?.() === 0 ? { uid: 64055, gid: 64055 } : null

export interface TinyDriver {
  directory: string
  vmsDir: string
  open(options?: Partial<QemuOptions>): QemuHypervisor
  input(serverId: string, change?: Partial<VmSpec>): Omit<EnsureInput, "power">
  /** A blank one. */
  volume(volumeId: string, sizeBytes: number): Promise<LocalVolume>
  dispose(): void
}

export async function makeTinyDriver(
  options: { isReachable?: boolean; vmsDirName?: string } = {},
): Promise<TinyDriver> {
  const directory = mkdtempSync(join(tmpdir(), "kumoi-qemu-"))
  // Unless opened up, a temporary directory keeps out the user that QEMU becomes.
  if (options.isReachable) chmodSync(directory, 0o711)
  const vmsDir = join(directory, options.vmsDirName ?? "vms")
  mkdirSync(vmsDir, { recursive: true, mode: 0o711 })
  const guest = await makeTinyGuest(directory)
  const image = join(directory, "root.raw")
  writeFileSync(image, Buffer.alloc(1024 * 1024, "kumoi"))
  const volumes = new FileVolumeDriver(join(directory, "volumes"))
  const raw = (path: string, virtualSizeBytes = 0) => ({ path, format: "raw" as const, virtualSizeBytes })
  return {
    directory,
    vmsDir,
    open: (more = {}) =>
      new QemuHypervisor({
        host: "host1",
        hostIp: "127.0.0.1",
        vmsDir,
        clock: systemClock,
        log: silentLogger,
        accelerator: "tcg",
        runAs: testRunAs,
        ...more,
      }),
    input: (serverId, change = {}) => ({
      spec: {
        ...exampleSpec(serverId),
        kernelImage: { imageId: "kernel", checksum: "0" },
        ramdiskImage: { imageId: "ramdisk", checksum: "1" },
        kernelCommandLine: guest.commandLine,
        ...change,
      },
      vifs: [],
      imageFiles: { root: raw(image, 1024 * 1024), kernel: raw(guest.kernel), ramdisk: raw(guest.ramdisk) },
    }),
    volume: async (volumeId, sizeBytes) => {
      await volumes.create(volumeId, sizeBytes, null, new AbortController().signal)
      return await volumes.open(volumeId)
    },
    dispose: () => {
      endGuests(vmsDir)
      rmSync(directory, { recursive: true })
    },
  }
}

/** Those that a failed test has left. */
function endGuests(vmsDir: string): void {
  for (const serverId of readdirSync(vmsDir)) {
    const left = findByPidFile(runDirectory(vmsDir, serverId))
    if (left) process.kill(left.pid, "SIGKILL")
  }
}
