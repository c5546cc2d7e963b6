import { pressPowerButton } from "../../qmp/index.ts"
import type { QemuMachine } from "./machine.ts"

/** A guest that is still booting misses the button, so it is pressed again. */
const pressIntervalMs = 5_000

/** Presses the power button and gives the guest its time; then ends QEMU. No grace: ends it at once. */
export async function powerOff(machine: QemuMachine, graceMs: number): Promise<void> {
  let leftMs = graceMs
  while (leftMs > 0 && machine.isAlive) {
    // A paused guest cannot hear the button.
    if (machine.state.power !== "running") break
    try {
      await pressPowerButton(await machine.qmp("power off"))
    } catch {
      break
    }
    const roundMs = Math.min(leftMs, pressIntervalMs)
    if (await machine.waitEnd(roundMs)) return
    leftMs -= roundMs
  }
  await machine.end("stopped by the host")
}
