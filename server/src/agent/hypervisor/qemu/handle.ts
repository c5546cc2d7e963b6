// What a handle of a QEMU machine says.
import type { ProcessIdentity } from "../../../platform/exec/process.ts"
import type { VmHandle } from "../hypervisor.ts"
import type { RunDirectory } from "./run-directory.ts"

export const driverName = "qemu"

export interface StoredHandle extends VmHandle {
  process: ProcessIdentity | null
}

export function handleOf(
  directory: RunDirectory,
  serverId: string,
  identity: ProcessIdentity | null,
): StoredHandle {
  return { serverId, driver: driverName, runDirectory: directory.root, process: identity }
}
