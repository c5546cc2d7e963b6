// Judges the data of an image against what was declared of them, once, when they arrive.
import type { Platform } from "../../platform/context/context.ts"
import { ExecError, exec } from "../../platform/exec/exec.ts"
import { dataRefused } from "../faults.ts"
import { detectFormat } from "./format.ts"
import type { FormatFacts } from "./format-facts.ts"

export interface Inspection {
  virtualSizeBytes: number | null
  /** Why no machine may boot it; null when it is what it says. */
  problem: string | null
}

/** QEMU's name of the formats that it has to open by more than plain reading. */
export const qemuDrivers: Readonly<Record<string, string>> = {
  qcow2: "qcow2",
  vmdk: "vmdk",
  vdi: "vdi",
  vhd: "vpc",
  vhdx: "vhdx",
}

const plainFormats = new Set(["raw", "ami", "ari", "aki", "iso"])

/**
 * Throws `image.data.refused` for data that refer to other files, and for a wrong format unless the configuration lets
 * that be, or they are the cloud's own (`isOurs`): then it is noted. Data inside another container (an OVA, a
 * compressed file) are not looked at: no machine boots them as they are.
 */
export async function inspectData(
  platform: Pick<Platform, "config">,
  path: string,
  declared: { diskFormat: string | null; containerFormat: string | null },
  { isOurs = false }: { isOurs?: boolean } = {},
): Promise<Inspection> {
  const { diskFormat, containerFormat } = declared
  if (containerFormat !== "bare" || diskFormat === null) return { virtualSizeBytes: null, problem: null }
  const facts = await detectFormat(path)
  if (facts.danger) throw dataRefused(facts.danger)
  const mismatch = findMismatch(diskFormat, facts)
  if (mismatch) {
    if (platform.config.image.formatMismatch === "refuse" && !isOurs) throw dataRefused(mismatch)
    return { virtualSizeBytes: null, problem: mismatch }
  }
  const driver = qemuDrivers[diskFormat]
  if (!driver) return { virtualSizeBytes: facts.virtualSizeBytes, problem: null }
  return await askQemu(path, driver, facts, platform.config.image.inspectTimeoutMs)
}

/** Why the data are not what they are declared to be; null when they may be. */
export function findMismatch(declared: string, { format, alsoIs }: FormatFacts): string | null {
  const is = [format ?? "plain data", ...(alsoIs ? [alsoIs] : [])].join(" and ")
  // A CD image is plain data too, and so is a disk with a VHD footer behind it.
  const isPlain = [format, alsoIs ?? null].every((each) => each === null || each === "iso" || each === "vhd")
  const isRight =
    plainFormats.has(declared) && declared !== "iso" ? isPlain : format === declared && alsoIs === undefined
  return isRight ? null : `it is declared as ${declared} and is ${is}`
}

/** For `prlimit`: a header can claim tables of any size. */
export function qemuLimits(timeoutMs: number): string[] {
  return [`--as=${memoryLimitBytes}`, `--cpu=${Math.ceil(timeoutMs / 1000)}`]
}

const memoryLimitBytes = 1024 ** 3
const outputLimitBytes = 1024 ** 2

async function askQemu(
  path: string,
  driver: string,
  facts: FormatFacts,
  timeoutMs: number,
): Promise<Inspection> {
  try {
    const limits = qemuLimits(timeoutMs)
    const command = ["qemu-img", "info", "--output=json", "-f", driver, path]
    const { stdout } = await exec("prlimit", [...limits, ...command], { timeoutMs, outputLimitBytes })
    return judge(JSON.parse(stdout), path)
  } catch (error) {
    if (!(error instanceof ExecError)) throw error
    // Without the program, the header's own word has to do. prlimit says 127 for a command that is not there.
    if (error.result === undefined || error.result.exitCode === 127)
      return { virtualSizeBytes: facts.virtualSizeBytes, problem: null }
    return { virtualSizeBytes: facts.virtualSizeBytes, problem: `it cannot be read as ${driver}` }
  }
}

interface QemuImageInfo {
  "virtual-size"?: number
  "backing-filename"?: string
  "full-backing-filename"?: string
  encrypted?: boolean
  "format-specific"?: {
    data?: {
      "data-file"?: string
      corrupt?: boolean
      extents?: { filename?: string }[]
    }
  }
}

function judge(info: QemuImageInfo, path: string): Inspection {
  if (info["backing-filename"] ?? info["full-backing-filename"]) throw dataRefused("it has a backing file")
  const data = info["format-specific"]?.data
  if (data?.["data-file"]) throw dataRefused("it has an external data file")
  if (data?.extents?.some(({ filename }) => filename !== path))
    throw dataRefused("its data are in other files")
  const problem = info.encrypted ? "it is encrypted" : data?.corrupt ? "it is marked as corrupt" : null
  return { virtualSizeBytes: info["virtual-size"] ?? null, problem }
}
