// Devices that come and go while the machine runs: interfaces, and volumes.
import { agentGuestKeepsDevice, agentPlaceMissing, agentVolumeOpenFailed } from "../../faults.ts"
import {
  addBlockdev,
  addDevice,
  addNetdev,
  addObject,
  deleteBlockdev,
  deleteDevice,
  deleteNetdev,
  deleteObject,
  eventuallyInQemu,
  ignoreQmpError,
  QmpClosedError,
  type QmpConnection,
  QmpError,
  queryBlockNodes,
  resizeBlockdev,
} from "../../qmp/index.ts"
import type { EnsureInput, PluggedVif } from "../hypervisor.ts"
import {
  atPort,
  blockdev,
  type Device,
  isQ35,
  limitObjects,
  movedFileNames,
  netdev,
  q35Ports,
  vifDevice,
  vifDeviceId,
  volumeDevice,
  volumeNames,
} from "./devices.ts"
import type { DiskFile } from "./disks.ts"
import type { QemuMachine } from "./machine.ts"

/** A guest that was busy may have missed that it was asked. QEMU before 8 says that it is asked already, which is no harm. */
const askAgainMs = 5_000
/** QEMU closes a file a moment after its device is gone, when the disk has taken what was written to it. */
const closeTimeoutMs = 30_000

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
    await plugWhereFree(qmp, input, vifDevice(input.spec, vif))
  } catch (error) {
    await ignoreQmpError(deleteNetdev(qmp, `net-${vif.portId}`))
    throw error
  }
}

async function plugWhereFree(qmp: QmpConnection, input: EnsureInput, device: Device): Promise<void> {
  const places = isQ35(input.spec) ? Array.from({ length: q35Ports }, (_, port) => atPort(port)) : [{}]
  for (const place of places) {
    try {
      await addDevice(qmp, { ...device, ...place })
      return
    } catch (error) {
      // A machine that an earlier program has started has fewer ports.
      const isTaken = /occupied|not available|all in use|Bus 'port\d+' not found/
      if (!(error instanceof QmpError && isTaken.test(error.message))) throw error
    }
  }
  throw agentPlaceMissing(input.spec.serverId)
}

export async function hotunplugVif(machine: QemuMachine, portId: string): Promise<void> {
  const qmp = await machine.qmp("unplug an interface")
  await takeDevice(machine, qmp, vifDeviceId(portId))
  await ignoreQmpError(deleteNetdev(qmp, `net-${portId}`))
}

/** `open` does what QEMU needs to be able to open the file, around that. */
export async function hotplugVolume(
  machine: QemuMachine,
  input: EnsureInput,
  file: DiskFile,
  open: (task: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const volumeId = file.disk.name
  const qmp = await machine.qmp("plug a volume")
  if (await hasDevice(qmp, file.names.device)) return
  // Of an earlier try.
  await closeVolume(qmp, volumeId)
  try {
    for (const object of limitObjects(file.disk)) await addObject(qmp, object)
    await open(() => addBlockdev(qmp, blockdev(file)))
  } catch (error) {
    await closeVolume(qmp, volumeId)
    if (!(error instanceof QmpError)) throw error
    throw Object.assign(agentVolumeOpenFailed(volumeId, error.message), { cause: error })
  }
  try {
    await plugWhereFree(qmp, input, volumeDevice(file.disk, null))
  } catch (error) {
    await closeVolume(qmp, volumeId)
    // The device takes the lock on the file, and another QEMU has it.
    if (!(error instanceof QmpError) || !/Failed to get .*lock/.test(error.message)) throw error
    throw Object.assign(agentVolumeOpenFailed(volumeId, error.message), { cause: error })
  }
}

/** Nothing of it is left. */
async function closeVolume(qmp: QmpConnection, volumeId: string): Promise<void> {
  const { node, crypt, throttle, limits } = volumeNames(volumeId)
  // With the upper one goes what it was made with.
  for (const each of [throttle, crypt, node, ...movedFileNames(volumeId)]) await closeNode(qmp, each)
  await ignoreQmpError(deleteObject(qmp, limits))
}

/** QEMU has closed the file when this returns. */
export async function hotunplugVolume(machine: QemuMachine, volumeId: string): Promise<void> {
  const qmp = await machine.qmp("unplug a volume")
  await takeDevice(machine, qmp, volumeNames(volumeId).device)
  await closeVolume(qmp, volumeId)
}

/** The file has this size already; QEMU looks again, and its guest is told. */
export async function showVolumeSize(
  machine: QemuMachine,
  volumeId: string,
  sizeBytes: number,
): Promise<void> {
  const { device, node, crypt, throttle } = volumeNames(volumeId)
  const qmp = await machine.qmp("extend a volume")
  if (!(await hasDevice(qmp, device))) return
  const sizes = new Map(
    (await queryBlockNodes(qmp)).map((each) => [each["node-name"], each.image["virtual-size"]]),
  )
  // The device hears it of the node that it is on top of.
  const top = [throttle, crypt, node].find((name) => sizes.has(name)) ?? node
  // The guest does not have what LUKS has in front.
  const [all = 0, clear = all] = [sizes.get(node), sizes.get(crypt)]
  await resizeBlockdev(qmp, top, sizeBytes - (all - clear))
}

async function takeDevice(machine: QemuMachine, qmp: QmpConnection, id: string): Promise<void> {
  if (!(await hasDevice(qmp, id))) return
  let askedAt = Number.NEGATIVE_INFINITY
  const isGone = async () => {
    if (performance.now() - askedAt >= askAgainMs) {
      await ignoreQmpError(deleteDevice(qmp, id))
      askedAt = performance.now()
    }
    return !(await hasDevice(qmp, id))
  }
  try {
    await eventuallyInQemu("the guest to let go", isGone, {
      timeoutMs: machine.unplugTimeoutMs,
      intervalMs: 100,
    })
  } catch (error) {
    if (error instanceof QmpClosedError) throw error
    throw agentGuestKeepsDevice(machine.serverId)
  }
}

/** Nothing happens when there is none. */
export async function closeNode(qmp: QmpConnection, node: string): Promise<void> {
  const isClosed = async () => {
    try {
      await deleteBlockdev(qmp, node)
    } catch (error) {
      if (!(error instanceof QmpError)) throw error
      return !/in use/.test(error.message)
    }
    return true
  }
  await eventuallyInQemu("QEMU to close the volume", isClosed, { timeoutMs: closeTimeoutMs, intervalMs: 50 })
}

async function hasDevice(qmp: QmpConnection, id: string): Promise<boolean> {
  const devices = (await qmp.execute("qom-list", { path: "/machine/peripheral" })) as { name: string }[]
  return devices.some((device) => device.name === id)
}
