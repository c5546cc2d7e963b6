// LUKS around the data of a volume: what the back end has is the whole of it, its header and its ciphertext, so back
// ends, copies, snapshots and moves know nothing of it. The guest has the volume without the header.
import { mkdir, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { describeError } from "../../platform/fault/fault.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { agentCipherUnsupported } from "../faults.ts"
import type { LocalImage } from "../hypervisor/hypervisor.ts"
import { convertInto, qemuImg } from "../qemu-img.ts"
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

interface Making {
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

async function withSecret({ keysDir, key }: Making, task: (secret: string) => Promise<void>): Promise<void> {
  await mkdir(keysDir, { recursive: true, mode: 0o700 })
  const file = join(keysDir, newUuid())
  try {
    await writeFile(file, key.passphrase, { mode: 0o600, flag: "wx" })
    await task(JSON.stringify({ "qom-type": "secret", id: secretId, file }))
  } finally {
    await rm(file, { force: true })
  }
}
