// Fernet keys as files, in Keystone's layout: `0` is staged (it opens messages and will sign next), the highest
// number signs, the others only open what they signed earlier. Every API process of the machine reads them.
import { mkdirSync, readdirSync, readFileSync, statSync } from "node:fs"
import { chmod, link, mkdir, open, readdir, rename, rm, stat, utimes } from "node:fs/promises"
import { join } from "node:path"
import type { Clock } from "../../platform/clock/clock.ts"
import { newHexId } from "../../platform/ids/ids.ts"
import { decryptFernet, encryptFernet, type FernetKey, newFernetKeyText, parseFernetKey } from "./fernet.ts"

export interface KeyRing {
  /** Signs with the primary key. */
  encrypt(payload: Buffer, timestampSeconds: number): string
  decrypt(text: string): { payload: Buffer; timestampSeconds: number } | null
  /** The staged key becomes primary; a key that no valid message can need any more is removed. */
  rotate(): Promise<void>
}

export interface KeyRingOptions {
  directory: string
  clock: Clock
  /** How long a message may be wanted after it was made; older keys are removed at rotation. */
  messageLifetimeMs: number
}

interface Loaded {
  /** Primary first, staged last. */
  keys: FernetKey[]
  fingerprint: string
}

/** How often a strange message makes us look at the directory again, at the most. */
const rereadIntervalMs = 1_000

export async function openKeyRing(options: KeyRingOptions): Promise<KeyRing> {
  await ensureKeys(options.directory)
  let loaded = load(options.directory)
  let checkedAtMs = options.clock.monotonicMs()
  const rereadIfChanged = (): boolean => {
    const nowMs = options.clock.monotonicMs()
    if (nowMs - checkedAtMs < rereadIntervalMs) return false
    checkedAtMs = nowMs
    const before = loaded.fingerprint
    if (fingerprint(options.directory) === before) return false
    loaded = load(options.directory)
    return true
  }
  return {
    encrypt(payload, timestampSeconds) {
      rereadIfChanged()
      const primary = loaded.keys[0]
      if (!primary) throw new Error(`no Fernet key in ${options.directory}`)
      return encryptFernet(primary, payload, timestampSeconds)
    },
    decrypt(text) {
      const message = decryptFernet(loaded.keys, text)
      if (message || !text.startsWith("gAAAA")) return message
      // Another process may have rotated the keys since.
      return rereadIfChanged() ? decryptFernet(loaded.keys, text) : null
    },
    async rotate() {
      await rotateKeys(options)
      loaded = load(options.directory)
    },
  }
}

function keyNumbers(names: readonly string[]): number[] {
  return names
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => b - a)
}

function fingerprint(directory: string): string {
  return `${readdirSync(directory).sort().join(",")}@${statSync(directory).mtimeMs}`
}

function load(directory: string): Loaded {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const mark = fingerprint(directory)
  const keys = keyNumbers(readdirSync(directory)).map((n) =>
    parseFernetKey(readFileSync(join(directory, String(n)), "utf8")),
  )
  return { keys, fingerprint: mark }
}

/** Whole or not at all, and never over a key that another process has made meanwhile. */
async function writeKey(path: string): Promise<void> {
  const fresh = `${path}.${newHexId()}.new`
  const file = await open(fresh, "w", 0o600)
  try {
    await file.writeFile(newFernetKeyText())
    await file.sync()
  } finally {
    await file.close()
  }
  try {
    await link(fresh, path)
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error
  } finally {
    await rm(fresh)
  }
}

async function ensureKeys(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await chmod(directory, 0o700)
  const numbers = keyNumbers(await readdir(directory))
  if (!numbers.some((n) => n > 0)) await writeKey(join(directory, "1"))
  if (!numbers.includes(0)) await writeKey(join(directory, "0"))
}

async function rotateKeys({ directory, clock, messageLifetimeMs }: KeyRingOptions): Promise<void> {
  await ensureKeys(directory)
  const numbers = keyNumbers(await readdir(directory))
  const primary = numbers[0] ?? 0
  const now = clock.now()
  const next = join(directory, String(primary + 1))
  await rename(join(directory, "0"), next)
  await utimes(next, now, now)
  await writeKey(join(directory, "0"))
  // Key n signed until n+1 took its place, which is the time of the file n+1.
  const retired: number[] = []
  for (const n of numbers.filter((number) => number > 0)) {
    const successor = await stat(join(directory, String(n + 1))).catch(() => null)
    if (successor && now.getTime() - successor.mtimeMs > messageLifetimeMs) retired.push(n)
  }
  for (const n of retired) await rm(join(directory, String(n)))
}
