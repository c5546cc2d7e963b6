// Rotation: the staged key signs from now on, a new one is staged, and a key goes when nothing valid can need it.
import type { Platform } from "../../platform/context/context.ts"
import { internalCtx } from "../../platform/context/context.ts"
import { transact } from "../../platform/db/database.ts"
import { announce } from "../change.ts"
import { keyStagedTooShortly, tooManyKeys } from "../faults.ts"
import { renewCredentials } from "./renew-credentials.ts"
import {
  deleteKeys,
  insertKey,
  lockKeys,
  makePrimary,
  type RingName,
  readKeys,
  type StoredKey,
} from "./store.ts"

export interface KeyFacts {
  ring: RingName
  number: number
  role: "staged" | "primary" | "former"
  createdAt: Date
  primaryAt: Date | null
}

export interface Rotation {
  ring: RingName
  /** The key that signs now. */
  primary: number
  removed: readonly number[]
  /** Credentials that were encrypted anew. */
  renewed: number
}

/**
 * A process that has not heard of a rotation signs on with the former key. It hears within seconds; without a
 * database it signs nothing at all. So this is more than enough.
 */
const hearingMs = 600_000

/** Before a staged credential key may be used, every process must have it: a credential is not asked for twice. */
const stagedMsLeast = 60_000

export async function rotateKeys(platform: Platform, ring: RingName): Promise<Rotation> {
  const { keys } = platform.drivers.identity
  // Another process may have rotated a moment ago.
  await keys.refresh()
  // What late writers encrypted with an older key than the present one, so that older keys can go.
  let renewed = ring === "credential" ? await renewCredentials(platform) : 0
  const rotation = await transact(platform.db, async (tx) => {
    await lockKeys(tx)
    const now = platform.clock.now()
    const stored = (await readKeys(tx, keys.secret)).filter((key) => key.ring === ring)
    const staged = stored.find((key) => key.primaryAt === null)
    if (!staged) throw new Error(`key ring ${ring} has no staged key`)
    const age = now.getTime() - staged.createdAt.getTime()
    if (ring === "credential" && age < stagedMsLeast) throw keyStagedTooShortly(stagedMsLeast - age)
    const removed = retiredKeys(platform, ring, [...stored.filter((key) => key.primaryAt), staged], now)
    const most = platform.config.identity.keysMax
    if (stored.length - removed.length >= most) throw tooManyKeys(ring, most)
    await makePrimary(tx, ring, staged.number, now)
    await insertKey(tx, keys.secret, { ring, number: staged.number + 1, createdAt: now, primaryAt: null })
    await deleteKeys(tx, ring, removed)
    await announce(internalCtx(platform), tx, "fernet_key", "updated", ring)
    return { ring, primary: staged.number, removed }
  })
  await keys.refresh()
  if (ring === "credential") renewed += await renewCredentials(platform)
  platform.log.info({ ...rotation, renewed }, "identity: keys rotated")
  return { ...rotation, renewed }
}

/** `signed`: all that sign or signed, and at the end the one that will from `now` on. */
function retiredKeys(platform: Platform, ring: RingName, signed: readonly StoredKey[], now: Date): number[] {
  const keepMs = hearingMs + lifetimeMs(platform, ring)
  return signed
    .slice(0, -1)
    .filter((_key, index) => {
      const successor = signed[index + 1]
      // A key signed until its successor took its place.
      return successor?.primaryAt && now.getTime() - successor.primaryAt.getTime() > keepMs
    })
    .map((key) => key.number)
}

/** How long a message of the ring may be wanted. Credentials are encrypted anew instead. */
function lifetimeMs(platform: Platform, ring: RingName): number {
  if (ring === "credential") return 0
  const { tokenLifetimeSeconds, allowExpiredWindowSeconds } = platform.config.identity
  return (tokenLifetimeSeconds + allowExpiredWindowSeconds) * 1000
}

export async function listKeys(platform: Platform): Promise<KeyFacts[]> {
  const stored = await readKeys(platform.db, platform.drivers.identity.keys.secret)
  return stored.map(({ ring, number, createdAt, primaryAt }) => {
    const primary = stored.findLast((key) => key.ring === ring && key.primaryAt !== null)
    const role = primaryAt === null ? "staged" : number === primary?.number ? "primary" : "former"
    return { ring, number, role, createdAt, primaryAt }
  })
}
