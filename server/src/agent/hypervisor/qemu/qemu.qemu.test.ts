// The driver's promises, with real machines under tcg.
import { makeTinyDriver } from "../../testing/tiny-driver.ts"
import { typeOnSerial } from "../../testing/tiny-guest.ts"
import { hypervisorContract } from "../contract.ts"
import type { VmHandle } from "../hypervisor.ts"
import { runDirectory } from "./run-directory.ts"

hypervisorContract("qemu", async () => {
  // Volumes are opened by a QEMU that has given up root.
  const tiny = await makeTinyDriver({ isReachable: true })
  const serial = (handle: VmHandle) => runDirectory(tiny.vmsDir, handle.serverId).serialSocket
  return {
    open: async () => tiny.open(),
    input: async (serverId) => tiny.input(serverId),
    volume: async (volumeId, sizeBytes) => await tiny.volume(volumeId, sizeBytes),
    kill: async (hypervisor, handle) => {
      process.kill(await hypervisor.processId(handle), "SIGKILL")
    },
    guestPowersOff: async (_hypervisor, handle) => await typeOnSerial(serial(handle), "poweroff -f"),
    guestReboots: async (_hypervisor, handle) => await typeOnSerial(serial(handle), "reboot -f"),
    boots: async (hypervisor, handle) =>
      (await hypervisor.consoleLog(handle, null)).split("GUEST is up").length - 1,
    dispose: async () => tiny.dispose(),
  }
})
