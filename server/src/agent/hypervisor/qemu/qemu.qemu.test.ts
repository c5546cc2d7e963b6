// The driver's promises, with real machines under tcg.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { systemClock } from "../../../platform/clock/clock.ts"
import { silentLogger } from "../../../platform/log/log.ts"
import { exampleSpec } from "../../testing/example-spec.ts"
import { makeTinyGuest, typeOnSerial } from "../../testing/tiny-guest.ts"
import { hypervisorContract } from "../contract.ts"
import type { VmHandle } from "../hypervisor.ts"
import { QemuHypervisor } from "./qemu.ts"
import { runDirectory } from "./run-directory.ts"

hypervisorContract("qemu", async () => {
  const directory = mkdtempSync(join(tmpdir(), "kumoi-qemu-"))
  const vmsDir = join(directory, "vms")
  mkdirSync(vmsDir)
  const guest = await makeTinyGuest(directory)
  const image = join(directory, "root.raw")
  writeFileSync(image, Buffer.alloc(1024 * 1024, "kumoi"))
  const serial = (handle: VmHandle) => runDirectory(vmsDir, handle.serverId).serialSocket
  return {
    open: async () =>
      new QemuHypervisor({
        host: "host1",
        hostIp: "127.0.0.1",
        vmsDir,
        clock: systemClock,
        log: silentLogger,
        accelerator: "tcg",
        runAs: process.getuid?.() === 0 ? { uid: 64055, gid: 64055 } : null,
      }),
    input: async (serverId) => ({
      spec: {
        ...exampleSpec(serverId),
        kernelImage: { imageId: "kernel", checksum: "0" },
        ramdiskImage: { imageId: "ramdisk", checksum: "1" },
        kernelCommandLine: guest.commandLine,
      },
      vifs: [],
      imageFiles: {
        root: { path: image, format: "raw", virtualSizeBytes: 1024 * 1024 },
        kernel: { path: guest.kernel, format: "raw", virtualSizeBytes: 0 },
        ramdisk: { path: guest.ramdisk, format: "raw", virtualSizeBytes: 0 },
      },
    }),
    kill: async (hypervisor, handle) => {
      process.kill(await hypervisor.processId(handle), "SIGKILL")
    },
    guestPowersOff: async (_hypervisor, handle) => await typeOnSerial(serial(handle), "poweroff -f"),
    guestReboots: async (_hypervisor, handle) => await typeOnSerial(serial(handle), "reboot -f"),
    boots: async (hypervisor, handle) =>
      (await hypervisor.consoleLog(handle, null)).split("GUEST is up").length - 1,
    dispose: async () => rmSync(directory, { recursive: true }),
  }
})
