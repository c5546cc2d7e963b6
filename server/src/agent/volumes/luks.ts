// LUKS around the data of a volume: what the back end has is the whole of it, its header and its ciphertext, so back
// ends, copies, snapshots and moves know nothing of it. The guest has the volume without the header.
import { mkdir, open, rm, stat, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { describeError } from "../../platform/fault/fault.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { agentCipherUnsupported, agentVolumeNoRoomForHeader } from "../faults.ts"
import type { LocalImage } from "../hypervisor/hypervisor.ts"
import { convertInto, convertNode, qemuImg } from "../qemu-img.ts"
import { copyTimeoutMs } from "./copy-data.ts"
import type { VolumeKey } from "./volume-keys.ts"

const secretId = "key"
/** The passphrase has 256 random bits, so that trying many of them needs no slowing down. */
const iterationMs = 10
const triesMost = 32

/** QEMU's words for dm-crypt's: `aes-xts-plain64` with 256 bits. Throws for what QEMU does not encrypt with. */
export function luksCipher({ cipher, keySizeBits }: Pick<VolumeKey, "cipher" | "keySizeBits">): string[] {
  const [, name = "", mode = "", iv = "", hash] =
    /^(aes|serpent|twofish)-(xts|cbc)-(plain64|plain|essiv)(?::(sha256))?$/.exec(cipher) ?? []
  // Of xts some count both of its keys.
  const bits = mode === "xts" && keySizeBits === 512 ? 256 : keySizeBits
  const isKnown = name !== "" && (iv === "essiv") === (hash !== undefined)
  if (!isKnown || ![128, 256].includes(bits)) throw agentCipherUnsupported(cipher, keySizeBits)
  return [
    `cipher-alg=${name}-${bits}`,
    `cipher-mode=${mode}`,
    `ivgen-alg=${iv}`,
    ...(hash === undefined ? [] : [`ivgen-hash-alg=${hash}`]),
  ]
}

export interface Making {
  /** Where the passphrase is for as long as a program reads it; nobody else uses the directory. */
  keysDir: string
  key: VolumeKey
  signal: AbortSignal
}

/** An empty volume's data; its size is given by whoever makes the file longer. */
export async function writeLuksHeader(path: string, making: Making): Promise<void> {
  await withSecret(making, (secret) => create(path, 0, secret, making))
}

export async function writeLuksImage(path: string, image: LocalImage, making: Making): Promise<void> {
  await withSecret(making, async (secret) => {
    await create(path, image.virtualSizeBytes, secret, making)
    const file = path.replaceAll(",", ",,")
    const target = `driver=luks,key-secret=${secretId},file.driver=file,file.filename=${file}`
    const options = ["--object", secret, "-n", "--target-image-opts"]
    const { signal } = making
    await convertInto(image, target, { options, timeoutMs: copyTimeoutMs, signal })
  })
}

/** What is in the file in clear, as it is in a volume of that size. */
export async function encryptFile(
  from: string,
  { to, sizeBytes, volumeId }: { to: string; sizeBytes: number; volumeId: string },
  making: Making,
): Promise<void> {
  await withSecret(making, async (secret) => {
    await create(to, 0, secret, making)
    const { size: headerBytes } = await stat(to)
    const roomBytes = sizeBytes - headerBytes
    if (roomBytes <= 0 || !(await isZeroFrom(from, roomBytes, making.signal)))
      throw agentVolumeNoRoomForHeader(volumeId, headerBytes)
    await create(to, roomBytes, secret, making)
    const data = { driver: "raw", size: roomBytes, file: { driver: "file", filename: from } }
    const options = ["--object", secret, "-n", "--target-image-opts"]
    const target = `driver=luks,key-secret=${secretId},file.driver=file,file.filename=${to.replaceAll(",", ",,")}`
    await convertNode(data, target, { options, timeoutMs: copyTimeoutMs, signal: making.signal })
  })
}

export async function decryptFile(from: string, to: string, making: Making): Promise<void> {
  await withSecret(making, async (secret) => {
    const options = ["--object", secret, "-O", "raw"]
    await convertNode(luksNode(from), to, { options, timeoutMs: copyTimeoutMs, signal: making.signal })
  })
}

/** Whether the file is LUKS, with this key. */
export async function isEncryptedWith(path: string, making: Making): Promise<boolean> {
  if (!(await hasCheapHeader(path))) return false
  return await withSecret(making, async (secret) => {
    const { signal } = making
    const args = ["info", "--object", secret, `json:${JSON.stringify(luksNode(path))}`]
    try {
      await qemuImg(args, { timeoutMs: copyTimeoutMs, signal })
      return true
    } catch (error) {
      if (/[Ii]nvalid password/.test(describeError(error))) return false
      throw error
    }
  })
}

const luksNode = (filename: string) => ({
  ...{ driver: "luks", "key-secret": secretId },
  file: { driver: "file", filename },
})

const magic = Buffer.from("LUKS\xba\xbe\0\x01", "latin1")
/** Of the header of LUKS 1, and in it of its digest and its eight slots. */
const layout = { bytes: 592, digestIterations: 164, slots: 208, slotBytes: 48, slotCount: 8 } as const
const slotIsUsed = 0x00ac71f3
/** Those that are made here have some 10,000. */
const iterationsMost = 1_000_000

/**
 * A guest may have written a header of its own into a volume that is plain, and one that keeps this host busy for
 * hours: ours has one slot, and is opened at once.
 */
async function hasCheapHeader(path: string): Promise<boolean> {
  await using file = await open(path, "r")
  const head = Buffer.alloc(layout.bytes)
  const { bytesRead } = await file.read(head, 0, head.length, 0)
  if (bytesRead < head.length || !head.subarray(0, magic.length).equals(magic)) return false
  const slots = Array.from({ length: layout.slotCount }, (_, n) => layout.slots + n * layout.slotBytes)
  const used = slots.filter((at) => head.readUInt32BE(at) === slotIsUsed)
  const iterations = [layout.digestIterations, ...used.map((at) => at + 4)].map((at) => head.readUInt32BE(at))
  return used.length === 1 && iterations.every((count) => count <= iterationsMost)
}

const readBytes = 1024 * 1024

async function isZeroFrom(path: string, fromBytes: number, signal: AbortSignal): Promise<boolean> {
  await using file = await open(path, "r")
  const data = Buffer.alloc(readBytes)
  for (let at = fromBytes; ; ) {
    signal.throwIfAborted()
    const { bytesRead } = await file.read(data, 0, data.length, at)
    if (bytesRead === 0) return true
    if (data.subarray(0, bytesRead).some((byte) => byte !== 0)) return false
    at += bytesRead
  }
}

async function create(
  path: string,
  sizeBytes: number,
  secret: string,
  { key, signal }: Making,
): Promise<void> {
  const options = [`key-secret=${secretId}`, `iter-time=${iterationMs}`, ...luksCipher(key)].join(",")
  const args = ["create", "-q", "-f", "luks", "--object", secret, "-o", options, path, String(sizeBytes)]
  for (let left = triesMost; ; left--) {
    try {
      await qemuImg(args, { timeoutMs: copyTimeoutMs, signal })
      return
    } catch (error) {
      // It times its own hashing, and gives up when the kernel's clock of a thread has not moved meanwhile.
      if (left === 1 || !describeError(error).includes("accurate CPU usage")) throw error
    }
  }
}

async function withSecret<T>({ keysDir, key }: Making, task: (secret: string) => Promise<T>): Promise<T> {
  await mkdir(keysDir, { recursive: true, mode: 0o700 })
  const file = join(keysDir, newUuid())
  try {
    await writeFile(file, key.passphrase, { mode: 0o600, flag: "wx" })
    return await task(JSON.stringify({ "qom-type": "secret", id: secretId, file }))
  } finally {
    await rm(file, { force: true })
  }
}
