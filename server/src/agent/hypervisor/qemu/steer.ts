// Lets a guest go on, or halts it. What QEMU has open is not its own while the guest is between two hosts: it neither
// locks nor changes a disk before the guest goes on. One that stays paused has its disks as well: they grow and are
// copied while it stands still.
import { agentMachineDisksTaken } from "../../faults.ts"
import { type Qmp, QmpError, setNodeActive, tryExport } from "../../qmp/index.ts"
import type { EnsureInput } from "../hypervisor.ts"
import { namedDisks, topNode } from "./devices.ts"
import type { QemuMachine } from "./machine.ts"

/** Of a process that is there. Repeatable. */
export async function steer(
  machine: QemuMachine,
  to: "running" | "paused",
  input: EnsureInput,
): Promise<void> {
  await machine.refresh()
  const { power } = machine.state
  if (to === "running" && power === "paused") await machine.resume()
  else if (to === "paused" && power === "running") await machine.pause()
  else if (to === "paused" && power === "paused") await takeDisks(machine, input)
}

async function takeDisks(machine: QemuMachine, { spec }: EnsureInput): Promise<void> {
  await machine.settle()
  const qmp = await machine.qmp("give the disks to")
  for (const { disk, names } of namedDisks(spec.disks))
    await takeNode(qmp, machine.serverId, disk.source.kind === "volume" ? topNode(disk) : names.node)
}

async function takeNode(qmp: Qmp, serverId: string, node: string): Promise<void> {
  try {
    await setNodeActive(qmp, node)
  } catch (error) {
    if (!(error instanceof QmpError)) throw error
    // QEMU before 10 has no word for it. What is to be exported is made its own first, and the export itself fails:
    // there is no server for it, or the guest's device lets nobody else write.
    if (error.errorClass === "CommandNotFound") return await takeByExport(qmp, serverId, node)
    throw Object.assign(agentMachineDisksTaken(serverId), { cause: error })
  }
}

async function takeByExport(qmp: Qmp, serverId: string, node: string): Promise<void> {
  const said = await tryExport(qmp, node)
  if (/read-only/.test(said))
    throw Object.assign(agentMachineDisksTaken(serverId), { cause: new Error(said) })
}
