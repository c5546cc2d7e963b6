// A file that QEMU copies to. Its data are raw: whoever has broken out of QEMU can write to it what it likes, also when
// it was said to be closed, and nothing of that is obeyed by whoever reads it. Zeros take no room where the file system
// can have holes.
import { open } from "node:fs/promises"
import { addBlockdev, type BlockNode, type QmpConnection, QmpError } from "../../qmp/index.ts"
import type { QemuMachine } from "./machine.ts"
import { reachedBy } from "./reach.ts"
import { lend } from "./volumes.ts"

export interface JobTarget {
  node: string
  path: string
  /** What QEMU copies from. */
  source: string
  runAs: { uid: number; gid: number } | null
}

/** Makes it. False when QEMU may not open it. */
export async function openTarget(
  machine: QemuMachine,
  qmp: QmpConnection,
  nodes: readonly BlockNode[],
  { node, path, source, runAs }: JobTarget,
): Promise<boolean> {
  {
    await using file = await open(path, "w", 0o600)
    // The two have one size, as the job wants it; QEMU may not have seen yet that a volume is larger.
    await file.truncate(sizeOf(nodes, source))
  }
  const sparse = { discard: "unmap", "detect-zeroes": "unmap" }
  const file = { driver: "file", filename: reachedBy(machine, path), discard: "unmap" }
  try {
    await lend(path, runAs, () => addBlockdev(qmp, { driver: "raw", "node-name": node, ...sparse, file }))
    return true
  } catch (error) {
    if (error instanceof QmpError && /Permission denied/.test(error.message)) return false
    throw error
  }
}

function sizeOf(nodes: readonly BlockNode[], name: string): number {
  const size = nodes.find((node) => node["node-name"] === name)?.image["virtual-size"]
  if (Number.isSafeInteger(size) && size !== undefined && size >= 0) return size
  throw new Error(`QEMU does not say how large its node ${name} is`)
}
