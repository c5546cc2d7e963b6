// Interfaces that come and go while the machine runs.
import { eventually } from "../../../platform/clock/clock.ts"
import { agentGuestKeepsDevice } from "../../faults.ts"
import {
  addDevice,
  addNetdev,
  deleteDevice,
  deleteNetdev,
  type QmpConnection,
  QmpError,
} from "../../qmp/index.ts"
import type { EnsureInput, PluggedVif } from "../hypervisor.ts"
import { isQ35, netdev, vifDevice, vifDeviceId } from "./devices.ts"
import type { QemuMachine } from "./machine.ts"

/** Guests answer within a second; one without an ACPI driver never does. */
const unplugTimeoutMs = 20_000
const hotplugPortsMost = 8

export async function hotplugVif(
  machine: QemuMachine,
  input: EnsureInput,
  vif: PluggedVif,
  hasTapOffload: boolean,
): Promise<void> {
  const qmp = await machine.qmp("plug an interface")
  if (await hasDevice(qmp, vifDeviceId(vif.portId))) return
  await ignoreQmpError(deleteNetdev(qmp, `net-${vif.portId}`))
  // Hub ids of the start are small numbers in the order of the spec.
  const hub = 1_000 + input.vifs.length
  await addNetdev(qmp, netdev(vif, hub, hasTapOffload))
  try {
    await plugWhereFree(qmp, input, vif)
  } catch (error) {
    await ignoreQmpError(deleteNetdev(qmp, `net-${vif.portId}`))
    throw error
  }
}

async function plugWhereFree(qmp: QmpConnection, input: EnsureInput, vif: PluggedVif): Promise<void> {
  const device = vifDevice(input.spec, vif)
  if (!isQ35(input.spec)) {
    await addDevice(qmp, device)
    return
  }
  for (let port = 0; ; port++) {
    try {
      // Behind a port a guest looks at place 0 only, while QEMU itself would go on with place 1.
      await addDevice(qmp, { ...device, bus: `port${port}`, addr: "0" })
      return
    } catch (error) {
      const isTaken = error instanceof QmpError && /occupied|in use|not available/.test(error.message)
      if (!isTaken || port + 1 >= hotplugPortsMost) throw error
    }
  }
}

export async function hotunplugVif(machine: QemuMachine, portId: string): Promise<void> {
  const qmp = await machine.qmp("unplug an interface")
  const id = vifDeviceId(portId)
  if (await hasDevice(qmp, id)) {
    await ignoreQmpError(deleteDevice(qmp, id))
    try {
      await eventually("the guest to let go", async () => !(await hasDevice(qmp, id)), {
        timeoutMs: unplugTimeoutMs,
        intervalMs: 100,
      })
    } catch {
      throw agentGuestKeepsDevice(machine.serverId)
    }
  }
  await ignoreQmpError(deleteNetdev(qmp, `net-${portId}`))
}

async function hasDevice(qmp: QmpConnection, id: string): Promise<boolean> {
  const devices = (await qmp.execute("qom-list", { path: "/machine/peripheral" })) as { name: string }[]
  return devices.some((device) => device.name === id)
}

/** The thing is gone already, or a request for it is under way: both are what we want. */
async function ignoreQmpError(command: Promise<void>): Promise<void> {
  try {
    await command
  } catch (error) {
    if (!(error instanceof QmpError)) throw error
  }
}
