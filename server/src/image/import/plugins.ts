// What is done to imported data before they are stored, as the operator says (`image.importPlugins`). It is written
// down with the import when that begins, so that a try after a crash does the same. Staged data stay as they came.
import { createReadStream } from "node:fs"
import { rm, stat } from "node:fs/promises"
import { createGunzip } from "node:zlib"
import type { Ctx, Platform } from "../../platform/context/context.ts"
import { isDiskFull } from "../../platform/exec/disk-full.ts"
import { ExecError, exec } from "../../platform/exec/exec.ts"
import { can } from "../../platform/policy/can.ts"
import { checkRoom, writeData } from "../data/file-store.ts"
import { detectFormat } from "../data/format.ts"
import { findMismatch, inspectData, qemuDrivers, qemuLimits } from "../data/inspect.ts"
import { dataRefused, dataTooLarge, storeFull } from "../faults.ts"

export interface Preparation {
  isDecompressed: boolean
  /** Null: as they are. */
  convertTo: "raw" | "qcow2" | null
  /** Properties that the image gets. */
  inject: Record<string, string>
}

export interface Formats {
  diskFormat: string | null
  containerFormat: string | null
}

export function preparationOf(ctx: Pick<Ctx, "config" | "caller" | "policy">): Preparation {
  const { importPlugins, conversionFormat, injectProperties } = ctx.config.image
  const isIgnored = can(ctx, "import_as_it_is")
  return {
    isDecompressed: importPlugins.includes("image_decompression"),
    convertTo: importPlugins.includes("image_conversion") ? conversionFormat : null,
    inject: importPlugins.includes("inject_image_metadata") && !isIgnored ? injectProperties : {},
  }
}

/** The files that `prepareData` makes on its way, beside what it is to make. */
export function preparedPaths(base: string): { plain: string; converted: string } {
  return { plain: `${base}.plain`, converted: `${base}.converted` }
}

interface Work {
  preparation: Preparation
  /** Files are made beside it. */
  base: string
  limitBytes: number
  signal: AbortSignal
}

/** The data as they are to be stored, and in which formats they are then. Repeatable. */
export async function prepareData(
  platform: Pick<Platform, "config">,
  staged: string,
  declared: Formats,
  work: Work,
): Promise<{ path: string; formats: Formats }> {
  const { preparation } = work
  let path = staged
  let formats = declared
  if (preparation.isDecompressed && formats.containerFormat === "compressed") {
    path = await decompress(platform, path, work)
    formats = { ...formats, containerFormat: "bare" }
  }
  const { convertTo } = preparation
  const { diskFormat, containerFormat } = formats
  const from =
    diskFormat === null ? undefined : (qemuDrivers[diskFormat] ?? (diskFormat === "raw" ? "raw" : undefined))
  // A CD stays a CD, and what lies in another container is no disk yet.
  if (convertTo === null || from === undefined || containerFormat !== "bare") return { path, formats }
  const virtualSizeBytes = await checkWhole(platform, path, formats)
  if (convertTo === "raw" && (virtualSizeBytes ?? 0) > work.limitBytes) throw dataTooLarge(work.limitBytes)
  if (diskFormat === convertTo) return { path, formats }
  path = await convert(platform, path, from, convertTo, work)
  return { path, formats: { ...formats, diskFormat: convertTo } }
}

const gzipMark = Buffer.from([0x1f, 0x8b])

async function decompress(platform: Pick<Platform, "config">, from: string, work: Work): Promise<string> {
  const { plain } = preparedPaths(work.base)
  await rm(plain, { force: true })
  const head: Buffer[] = []
  for await (const chunk of createReadStream(from, { end: 1 })) head.push(chunk as Buffer)
  if (!Buffer.concat(head).equals(gzipMark))
    throw dataRefused("it is declared as compressed and is not gzip data")
  // A small file may become one of any size: written within the limits of every other.
  const source = createReadStream(from, { highWaterMark: 1024 * 1024 })
  const unpacked = createGunzip()
  source.on("error", (error) => unpacked.destroy(error))
  source.pipe(unpacked)
  try {
    await writeData(plain, unpacked, {
      limitBytes: work.limitBytes,
      reserveBytes: platform.config.image.reserveBytes,
      onProgress: () => work.signal.throwIfAborted(),
    })
  } catch (error) {
    const isBroken = error instanceof Error && "code" in error && String(error.code).startsWith("Z_")
    throw isBroken ? dataRefused("it is declared as compressed and is no whole gzip data") : error
  } finally {
    source.destroy()
    unpacked.destroy()
  }
  return plain
}

/** qemu-img is given only what is what it says. Answers with the size of the disk. */
async function checkWhole(
  platform: Pick<Platform, "config">,
  path: string,
  formats: Formats,
): Promise<number | null> {
  const facts = await detectFormat(path)
  if (facts.danger) throw dataRefused(facts.danger)
  const mismatch = findMismatch(formats.diskFormat ?? "raw", facts)
  if (mismatch) throw dataRefused(mismatch)
  const { problem, virtualSizeBytes } = await inspectData(platform, path, formats)
  if (problem) throw dataRefused(problem)
  return virtualSizeBytes
}

async function convert(
  platform: Pick<Platform, "config">,
  from: string,
  driver: string,
  to: "raw" | "qcow2",
  work: Work,
): Promise<string> {
  const { converted } = preparedPaths(work.base)
  await rm(converted, { force: true })
  const { conversionTimeoutMs, reserveBytes } = platform.config.image
  await checkRoom(converted, reserveBytes + (await stat(from)).size)
  const limits = qemuLimits(conversionTimeoutMs)
  // The program itself cannot write more than the image may take.
  const command = [
    ...limits,
    `--fsize=${work.limitBytes}`,
    "qemu-img",
    "convert",
    "-q",
    "-f",
    driver,
    "-O",
    to,
  ]
  try {
    await exec("prlimit", [...command, from, converted], {
      timeoutMs: conversionTimeoutMs,
      signal: work.signal,
    })
  } catch (error) {
    if (isDiskFull(error)) throw storeFull()
    if (!(error instanceof ExecError)) throw error
    work.signal.throwIfAborted()
    const { exitCode = 0, stderr = "" } = error.result ?? {}
    // By SIGXFSZ, which prlimit passes on or says as a shell does.
    if (exitCode === 128 + 25 || /File too large/.test(stderr)) throw dataTooLarge(work.limitBytes)
    throw dataRefused(`it cannot be converted from ${driver} to ${to}`)
  }
  const { format } = await detectFormat(converted)
  // A disk that has another format inside becomes raw data that look like that format.
  const isRight = to === "raw" ? format === null || format === "iso" || format === "vhd" : format === to
  if (!isRight) throw dataRefused(`after its conversion to ${to} it is ${format ?? "plain data"}`)
  return converted
}
