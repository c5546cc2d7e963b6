import { createHash, randomBytes } from "node:crypto"
import {
  lstat,
  lutimes,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises"
import { join, resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { parseArgs } from "node:util"
import { makeDisk, preferLowLoadAddress } from "./disk.ts"
import { exists, syncToDisk, walk } from "./files.ts"
import { buildInitramfs } from "./initramfs.ts"
import { collectModules } from "./modules.ts"
import { guestPackages, obtainPackages } from "./packages.ts"
import { findFile, stageRootfs } from "./rootfs.ts"

export { guestPackages }

export const guestVersion = "0.1.0"
const diskSizeMib = 112
const sources = import.meta.dirname

export interface GuestImage {
  name: string
  /** A whole disk, qcow2: boots by itself. */
  diskPath: string
  /** The same kernel and first file system that are on the disk, for booting it directly or for a probe. */
  kernelPath: string
  initrdPath: string
  /** sha256 of everything the image was made from. */
  digest: string
  minDiskGib: number
  minRamMib: number
}

export interface BuildOptions {
  outputDir: string
  log?: (line: string) => void
}

/**
 * Makes the image, or finds the one made before from the same packages and files. A build is complete or not there:
 * it is made in a folder of its own, which gets its final name last.
 */
export async function buildGuestImage({ outputDir, log = () => {} }: BuildOptions): Promise<GuestImage> {
  const output = resolve(outputDir)
  const inputs = await fingerprintInputs()
  const known = await readPointer(output, inputs)
  if (known?.isCurrent) return known.image
  await mkdir(output, { recursive: true })
  await removeLeftovers(output)
  const work = join(output, `.building-${process.pid}-${randomBytes(4).toString("hex")}`)
  await mkdir(work)
  try {
    const digest = await build(output, work, log)
    await writePointer(output, work, { packages: inputs.packages, digest }, inputs)
    return describe(output, digest)
  } catch (error) {
    // Packages have changed and the new ones cannot be fetched (no network): what was made from these very files
    // before still boots.
    if (!known) throw error
    log(`using the guest image made before: ${error instanceof Error ? error.message : String(error)}`)
    await writePointer(
      output,
      work,
      { ...known.pointer, tried: { packages: inputs.packages, at: Date.now() } },
      inputs,
    )
    return known.image
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

async function build(output: string, work: string, log: (line: string) => void): Promise<string> {
  const started = Date.now()
  const { roots, kernelRelease } = await obtainPackages(work, log)
  const modules = await collectModules(roots, kernelRelease)
  const kernel = await readFile(await findFile(roots, `boot/vmlinuz-${kernelRelease}`))
  const initrd = await buildInitramfs(sources, roots, modules)
  const tree = join(work, "tree")
  await mkdir(tree)
  log(`laying out the guest with Linux ${kernelRelease}`)
  await stageRootfs({
    target: tree,
    sources,
    roots,
    release: kernelRelease,
    version: guestVersion,
    modules: modules.disk,
    kernel: preferLowLoadAddress(kernel),
    initrd,
  })
  const digest = await digestTree(tree)
  const final = folderOf(output, digest)
  if (await exists(final)) return digest
  const result = join(work, "result")
  await mkdir(result)
  await writeFile(join(result, "vmlinuz"), kernel)
  await writeFile(join(result, "initrd.img"), initrd)
  log("writing the disk")
  const userFolders = ["home/cirros"]
  await makeDisk({
    tree,
    userFolders,
    roots,
    sizeMib: diskSizeMib,
    digest,
    workFolder: work,
    output: join(result, "disk.qcow2"),
  })
  for (const name of await readdir(result)) await syncToDisk(join(result, name))
  await syncToDisk(result)
  await rename(result, final).catch(async (cause) => {
    // Another build of the same image was faster.
    if (!(await exists(final))) throw cause
  })
  await syncToDisk(output)
  log(`guest image made in ${((Date.now() - started) / 1000).toFixed(1)} s: ${final}`)
  return digest
}

/** What a build that was killed left behind; the folder's name has the process that made it. */
async function removeLeftovers(output: string): Promise<void> {
  for (const name of await readdir(output)) {
    const pid = /^\.building-(\d+)-/.exec(name)?.[1]
    if (pid && !(await exists(`/proc/${pid}`))) await rm(join(output, name), { recursive: true, force: true })
  }
}

function folderOf(output: string, digest: string): string {
  return join(output, `kumoi-guest-${guestVersion}-${digest.slice(0, 16)}`)
}

function describe(output: string, digest: string): GuestImage {
  const folder = folderOf(output, digest)
  return {
    name: `kumoi-guest-${guestVersion}`,
    diskPath: join(folder, "disk.qcow2"),
    kernelPath: join(folder, "vmlinuz"),
    initrdPath: join(folder, "initrd.img"),
    digest,
    minDiskGib: 0,
    minRamMib: 96,
  }
}

/** A machine without a network must not wait for its packages at every start. */
const tryAgainAfterMs = 3_600_000

/** What the newest image was made from. */
interface Pointer {
  packages: string
  digest: string
  /** Packages from which one could not be made, and when that was. */
  tried?: { packages: string; at: number }
}

interface Inputs {
  /** Changes when a file of this folder does. */
  sources: string
  /** Changes when any package is installed, upgraded or removed. */
  packages: string
}

/** Takes milliseconds. */
async function fingerprintInputs(): Promise<Inputs> {
  const hash = createHash("sha256")
  for (const path of await walk(sources)) {
    const full = join(sources, path)
    if (
      path.endsWith(".md") ||
      path.endsWith(".test.ts") ||
      path.startsWith("testing/") ||
      !(await lstat(full)).isFile()
    )
      continue
    hash.update(`${path}\0`).update(await readFile(full))
  }
  const status = await stat("/var/lib/dpkg/status", { bigint: true })
  return { sources: hash.digest("hex"), packages: `${status.size} ${status.mtimeNs}` }
}

/** Also gives every file one date: the image says nothing about when it was made. */
async function digestTree(tree: string): Promise<string> {
  const hash = createHash("sha256")
  for (const path of await walk(tree)) {
    const full = join(tree, path)
    const found = await lstat(full)
    hash.update(`${path}\0${found.mode}\0`)
    if (found.isSymbolicLink()) hash.update(await readlink(full))
    if (found.isFile()) hash.update(await readFile(full))
    await lutimes(full, 1_700_000_000, 1_700_000_000)
  }
  for (const name of ["disk.ts", "build.ts"]) hash.update(await readFile(join(sources, name)))
  return hash.digest("hex")
}

/** One for each state of this folder, so that two checkouts share a cache without taking it from each other. */
function pointerName(inputs: Inputs): string {
  return `kumoi-guest-${inputs.sources.slice(0, 16)}.json`
}

async function readPointer(
  output: string,
  inputs: Inputs,
): Promise<{ image: GuestImage; isCurrent: boolean; pointer: Pointer } | undefined> {
  const text = await readFile(join(output, pointerName(inputs)), "utf8").catch(() => undefined)
  if (!text) return undefined
  const pointer = JSON.parse(text) as Pointer
  const image = describe(output, pointer.digest)
  if (!(await exists(image.diskPath))) return undefined
  const { tried } = pointer
  const isTried = tried?.packages === inputs.packages && Date.now() - tried.at < tryAgainAfterMs
  return { image, isCurrent: pointer.packages === inputs.packages || isTried, pointer }
}

async function writePointer(output: string, work: string, pointer: Pointer, inputs: Inputs): Promise<void> {
  const name = pointerName(inputs)
  const file = join(work, name)
  await writeFile(file, `${JSON.stringify(pointer)}\n`)
  await syncToDisk(file)
  await rename(file, join(output, name))
  await syncToDisk(output)
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values } = parseArgs({ options: { output: { type: "string", default: ".kumoi/guest" } } })
  const image = await buildGuestImage({
    outputDir: values.output,
    log: (line) => process.stderr.write(`${line}\n`),
  })
  process.stdout.write(`${JSON.stringify(image, undefined, 2)}\n`)
}
