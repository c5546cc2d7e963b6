// The one place where the agent runs qemu-img on data that others have written. It runs as root, and a header of a
// qcow2 file can name other files: a backing file, a data file. Whoever has broken out of QEMU writes into the headers
// of its machine's disks what it likes, so:
//
//   the format is told, never looked for;
//   what lies below a file is told too, whatever its header says;
//   a header that names what it was not given, or wants a secret, is refused before any program opens the file.
//
// Nobody may write to such a file meanwhile. What a living QEMU has open is copied first (`copySparse`), or is raw.
import { open } from "node:fs/promises"
import { basename } from "node:path"
import { type ExecOptions, type ExecResult, exec } from "../platform/exec/exec.ts"
import { agentDiskRefused } from "./faults.ts"

export interface BaseFile {
  path: string
  format: "raw" | "qcow2"
}

export interface ImageFile {
  path: string
  /** QEMU's name of it. */
  format: "raw" | "qcow2" | "vmdk" | "vdi" | "vpc" | "vhdx"
  /** What the agent has put below it; a base has nothing below it. */
  backing?: BaseFile | null
}

/** What qemu-img opens, as QEMU describes it: of this process's own making. */
export interface ImageNode {
  driver: string
  [option: string]: unknown
}

interface How {
  timeoutMs: number
  signal?: AbortSignal
  /** Before the two names: the target's format and options. */
  options: readonly string[]
}

/** The file is nobody else's to read; qemu-img by itself makes one that everybody may. */
export async function convertImage(from: ImageFile, path: string, how: How): Promise<void> {
  const node = await nodeOf(from)
  {
    await using _file = await open(path, "w", 0o600)
  }
  await convertNode(node, path, how)
}

/** Into what is there (`-n`). `to`: with `--target-image-opts` what says it. */
export async function convertInto(from: ImageFile, to: string, how: How): Promise<void> {
  await convertNode(await nodeOf(from), to, how)
}

export async function convertNode(from: ImageNode, to: string, { options, ...how }: How): Promise<void> {
  await qemuImg(["convert", "-q", ...options, jsonName(from), to], how)
}

/** For what reads no header; `limits` are prlimit's. */
export async function qemuImg(
  args: readonly string[],
  how: ExecOptions & { limits?: readonly string[] },
): Promise<ExecResult> {
  const { limits = [], ...options } = how
  const [file = "", ...rest] = [...(limits.length > 0 ? ["prlimit", ...limits] : []), "qemu-img", ...args]
  return await exec(file, rest, options)
}

/** What has less, gets more; never the other way round. */
export async function growImage(file: ImageFile, sizeBytes: number, timeoutMs: number): Promise<void> {
  await qemuImg(["resize", "-q", jsonName(await nodeOf(file)), String(sizeBytes)], { timeoutMs })
}

/** An empty one over the base. */
export async function createOverlay(
  path: string,
  base: BaseFile,
  sizeBytes: number,
  timeoutMs: number,
): Promise<void> {
  const below = ["-b", base.path, "-F", base.format]
  await qemuImg(["create", "-q", "-f", "qcow2", ...below, path, String(sizeBytes)], { timeoutMs })
}

/** Throws for a file that must not be opened, by qemu-img or by a QEMU that has not given up root yet. */
export async function checkHeader(file: ImageFile): Promise<void> {
  const problem = await headerProblem(file)
  if (problem !== null) throw agentDiskRefused(basename(file.path), problem)
}

export async function headerProblem({ path, format, backing = null }: ImageFile): Promise<string | null> {
  return format === "qcow2" ? judgeHeader(await readHead(path), backing) : null
}

async function readHead(path: string): Promise<Buffer> {
  await using file = await open(path, "r")
  const head = Buffer.alloc(headBytes)
  const { bytesRead } = await file.read(head, 0, head.length, 0)
  return head.subarray(0, bytesRead)
}

/** The name of a backing file lies in the first cluster, which has 2 MiB at most. */
const headBytes = 2 * 1024 ** 2
const shortestHeadBytes = 72
const longestNameBytes = 1023
const externalDataFile = 4n

/** QEMU docs/interop/qcow2.txt. Null: it may be opened. Pure. */
export function judgeHeader(head: Buffer, backing: BaseFile | null): string | null {
  if (head.length < shortestHeadBytes || head.toString("latin1", 0, 4) !== "QFI\xfb") return "it is no qcow2"
  const version = head.readUInt32BE(4)
  if (version !== 2 && version !== 3) return `its version is ${version}`
  if (head.readUInt32BE(32) !== 0) return "it is encrypted"
  if (version === 3) {
    if (head.length < shortestHeadBytes + 8) return "it is no qcow2"
    if ((head.readBigUInt64BE(72) & externalDataFile) !== 0n) return "its data lie in another file"
  }
  const at = head.readBigUInt64BE(8)
  if (at === 0n) return null
  const length = head.readUInt32BE(16)
  if (length > longestNameBytes || at + BigInt(length) > BigInt(head.length))
    return "the name of its backing file is damaged"
  const name = head.toString("utf8", Number(at), Number(at) + length)
  // The directory may have been moved since. The name is only compared: what is opened is what is known.
  if (!backing) return "it has a backing file"
  return basename(name) === basename(backing.path) ? null : "its backing file is another one"
}

async function nodeOf(file: ImageFile): Promise<ImageNode> {
  await checkHeader(file)
  if (file.backing) await checkHeader(file.backing)
  return graphOf(file)
}

/** Null below it: nothing, whatever its header says. */
function graphOf({ path, format, backing = null }: ImageFile): ImageNode {
  const file = { driver: "file", filename: path }
  if (format === "raw") return { driver: "raw", file }
  return { driver: format, file, backing: backing && graphOf(backing) }
}

const jsonName = (node: ImageNode) => `json:${JSON.stringify(node)}`
