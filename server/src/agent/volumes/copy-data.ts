// Programs of the host that copy the data of volumes from file to file. Each has a time limit, and ends with the
// signal.

import { exec } from "../../platform/exec/exec.ts"
import { invalid } from "../../platform/fault/fault.ts"
import type { LocalImage } from "../hypervisor/hypervisor.ts"
import type { RemoteNode } from "../hypervisor/qemu/remote-volume.ts"
import { convertImage, convertInto, convertNode, type ImageFile } from "../qemu-img.ts"

/** A large volume on a slow disk. */
export const copyTimeoutMs = 6 * 3_600_000

/** What an image of a volume may be, and QEMU's name and options of it. */
const imageFormats: Readonly<Record<string, readonly string[]>> = {
  raw: ["raw"],
  qcow2: ["qcow2"],
  vmdk: ["vmdk"],
  vdi: ["vdi"],
  // Else it is cut to what a geometry of old can say.
  vhd: ["vpc", "-o", "force_size=on"],
  vhdx: ["vhdx"],
}

export function checkImageFormat(diskFormat: string): string {
  if (Object.hasOwn(imageFormats, diskFormat)) return diskFormat
  throw invalid("diskFormat", `A volume becomes an image of one of ${Object.keys(imageFormats).join(", ")}.`)
}

/** Holes stay holes, and blocks are shared where the file system can do that. */
export async function copySparse(from: string, to: string, signal: AbortSignal): Promise<void> {
  await exec("cp", ["--sparse=always", "--reflink=auto", "--", from, to], {
    timeoutMs: copyTimeoutMs,
    signal,
  })
}

/** Nothing may write to the source meanwhile, though QEMU may have it open. */
export async function toImage(
  from: ImageFile,
  to: string,
  diskFormat: string,
  signal: AbortSignal,
): Promise<void> {
  // -U: the QEMU of a halted guest keeps its lock.
  await convertImage(from, to, { options: ["-U", ...targetOf(diskFormat)], ...within(signal) })
}

/** The node of QEMU's is one that nothing writes to. */
export async function nodeToImage(
  from: RemoteNode,
  to: string,
  diskFormat: string,
  signal: AbortSignal,
): Promise<void> {
  const options = [...secretOf(from), ...targetOf(diskFormat)]
  await convertNode({ driver: "raw", file: from.node }, to, { options, ...within(signal) })
}

/** The node is there, as large as the image or larger, and blank. */
export async function toNode(from: LocalImage, to: RemoteNode, signal: AbortSignal): Promise<void> {
  // Nothing is held back of what is written, so it is there when this is over.
  const target = ["-n", "--target-is-zero", "-t", "none", "--target-image-opts"]
  const options = [...secretOf(to), ...target]
  await convertInto(from, optionsOf(to), { options, ...within(signal) })
}

const within = (signal: AbortSignal) => ({ timeoutMs: copyTimeoutMs, signal })

function targetOf(diskFormat: string): string[] {
  const [name = "", ...options] = imageFormats[checkImageFormat(diskFormat)] ?? []
  return ["-O", name, ...options]
}

const secretOf = ({ secret }: RemoteNode) => ["--object", JSON.stringify(secret)]

/** As a list of keys and values, in which a comma is doubled. */
function optionsOf({ node }: RemoteNode): string {
  const flat = (value: unknown, key: string): string[] =>
    typeof value === "object" && value !== null
      ? Object.entries(value).flatMap(([name, inner]) => flat(inner, `${key}.${name}`))
      : [`${key}=${String(value).replaceAll(",", ",,")}`]
  return ["driver=raw", ...flat(node, "file")].join(",")
}
