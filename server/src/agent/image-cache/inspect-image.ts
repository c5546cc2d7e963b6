// Decides whether an image's data may be used, and how QEMU must open it.
import { agentImageRefused } from "../faults.ts"
import { headerProblem, qemuImg } from "../qemu-img.ts"
import { type SniffedFormat, sniffFile } from "./sniff.ts"

export interface InspectedImage {
  /** QEMU's name of the format. */
  driver: "raw" | "qcow2" | "vmdk" | "vdi" | "vpc" | "vhdx"
  virtualSizeBytes: number
}

const drivers: Record<string, InspectedImage["driver"]> = {
  raw: "raw",
  ami: "raw",
  aki: "raw",
  ari: "raw",
  iso: "raw",
  // An encrypted volume's, whole: it becomes a volume as it is, and no machine's disk.
  luks: "raw",
  qcow2: "qcow2",
  vmdk: "vmdk",
  vdi: "vdi",
  vhd: "vpc",
  vhdx: "vhdx",
}

const sniffedAs: Partial<Record<InspectedImage["driver"], SniffedFormat>> = {
  qcow2: "qcow2",
  vmdk: "vmdk",
  vdi: "vdi",
  vpc: "vhd",
  vhdx: "vhdx",
}

/** A header can claim tables of any size; qemu-img must not take the host's memory or time for them. */
const memoryLimitBytes = 1024 ** 3
const cpuLimitSeconds = 30

interface QemuImageInfo {
  format: string
  "virtual-size": number
  encrypted?: boolean
  "backing-filename"?: string
  "full-backing-filename"?: string
  "format-specific"?: { data?: Record<string, unknown> }
}

/** Throws the fault that says what is wrong with it. */
export async function inspectImage(
  imageId: string,
  path: string,
  diskFormat: string,
): Promise<InspectedImage> {
  const driver = drivers[diskFormat]
  if (!driver) {
    throw agentImageRefused(
      imageId,
      `disk format "${diskFormat}"; use one of ${Object.keys(drivers).join(", ")}`,
    )
  }
  judgeSniffed(imageId, diskFormat, driver, await sniffFile(path))
  // Before any program opens it.
  const problem = await headerProblem({ path, format: driver })
  if (problem !== null) throw agentImageRefused(imageId, problem)
  const info = await readInfo(imageId, path, driver)
  judgeInfo(imageId, path, info)
  return { driver, virtualSizeBytes: info["virtual-size"] }
}

function judgeSniffed(
  imageId: string,
  diskFormat: string,
  driver: InspectedImage["driver"],
  found: SniffedFormat[],
): void {
  const refuse = (why: string) => agentImageRefused(imageId, why)
  // A file system of its own may lie behind a container's header, so a CD is allowed beside it only in raw data.
  const containers = found.filter((format) => format !== "iso" && format !== "vhd")
  if (diskFormat === "luks") {
    if (containers[0] !== "luks")
      throw refuse(`it is declared as luks and is ${containers[0] ?? "plain data"}`)
    return
  }
  if (driver === "raw") {
    if (containers[0]) throw refuse(`it is declared as ${diskFormat} and is ${containers[0]}`)
    if (diskFormat === "iso" && !found.includes("iso")) throw refuse("it is declared as iso and is none")
    return
  }
  const expected = sniffedAs[driver]
  if (!expected || !found.includes(expected)) {
    throw refuse(`it is declared as ${diskFormat} and is ${found[0] ?? "plain data"}`)
  }
  const others = containers.filter((format) => format !== expected)
  if (others[0]) throw refuse(`it is both ${expected} and ${others[0]}`)
}

async function readInfo(
  imageId: string,
  path: string,
  driver: InspectedImage["driver"],
): Promise<QemuImageInfo> {
  const limits = [`--as=${memoryLimitBytes}`, `--cpu=${cpuLimitSeconds}`]
  const result = await qemuImg(["info", "-f", driver, "--output=json", path], {
    limits,
    timeoutMs: 2 * cpuLimitSeconds * 1000,
    outputLimitBytes: 1024 * 1024,
    okCodes: [0, 1],
  })
  if (result.exitCode !== 0) {
    throw agentImageRefused(imageId, result.stderr.trim().replaceAll(path, "the image").slice(-200))
  }
  return JSON.parse(result.stdout) as QemuImageInfo
}

/** Refuses everything by which an image could reach another file. Exported for its test. */
export function judgeInfo(imageId: string, path: string, info: QemuImageInfo): void {
  const refuse = (why: string) => agentImageRefused(imageId, why)
  const data = info["format-specific"]?.data ?? {}
  if (info["backing-filename"] !== undefined || info["full-backing-filename"] !== undefined) {
    throw refuse("it has a backing file")
  }
  if (data["data-file"] !== undefined || data["data-file-raw"] === true) {
    throw refuse("its data lie in another file")
  }
  if (info.encrypted === true) throw refuse("it is encrypted")
  if (data.corrupt === true) throw refuse("it is marked as corrupt")
  const createType = data["create-type"]
  if (createType === undefined) return
  if (createType !== "monolithicSparse" && createType !== "streamOptimized") {
    throw refuse(`vmdk of type ${String(createType)}; only monolithicSparse and streamOptimized can be used`)
  }
  const extents = Array.isArray(data.extents) ? data.extents : []
  if (extents.some((extent: { filename?: unknown }) => extent.filename !== path)) {
    throw refuse("its data lie in another file")
  }
}
