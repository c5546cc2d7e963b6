// The keys of the whole cloud: opened at the start, read again when they change.
import { join } from "node:path"
import type { Clock } from "../../platform/clock/clock.ts"
import type { Config } from "../../platform/config/config.ts"
import { type Db, type Tx, transact } from "../../platform/db/database.ts"
import { keySecretMissing } from "../faults.ts"
import { readKeyFiles, removeKeyFiles } from "./key-files.ts"
import { createKeyRing, type KeyRing, type LoadableRing } from "./key-ring.ts"
import { ensureKeySecret, readKeySecret } from "./key-secret.ts"
import { hasKeys, insertKey, type KeySecret, lockKeys, type RingName, readKeys, ringNames } from "./store.ts"

export interface Keys {
  readonly rings: Readonly<Record<RingName, KeyRing>>
  readonly secret: KeySecret
  /** Reads the database again. */
  refresh(): Promise<void>
}

export interface KeysOptions {
  db: Db
  config: Config
  clock: Clock
}

export function keySecretPath(config: Config): string {
  return config.identity.keySecretFile || join(config.dataDir, "identity", "key-secret")
}

export async function openKeys({ db, config, clock }: KeysOptions): Promise<Keys> {
  const path = keySecretPath(config)
  const directory = join(config.dataDir, "identity")
  const secret = await transact(db, async (tx) => {
    await lockKeys(tx)
    const found = await findSecret(tx, path)
    const known = await readKeys(tx, found)
    for (const ring of ringNames) {
      if (!known.some((key) => key.ring === ring)) await makeRing(tx, found, ring, directory, clock.now())
    }
    return found
  })
  let refreshed: Promise<unknown> = Promise.resolve()
  const load = async () => {
    const stored = await readKeys(db, secret)
    for (const ring of ringNames) rings[ring].load(stored.filter((key) => key.ring === ring))
    return stored
  }
  const refresh = async () => {
    // One after the other: an earlier answer must not replace a later one.
    refreshed = refreshed.then(load, load)
    await refreshed
  }
  const rings: Record<RingName, LoadableRing> = {
    token: createKeyRing(clock, refresh),
    receipt: createKeyRing(clock, refresh),
    credential: createKeyRing(clock, refresh),
  }
  const stored = await load()
  for (const ring of ringNames) {
    const isKnown = (text: string) => stored.some((key) => key.ring === ring && key.text === text)
    await removeKeyFiles(directory, ring, isKnown)
  }
  return { rings, secret, refresh }
}

/** A secret is made only for a cloud that has no keys yet: a second one would open nothing. */
async function findSecret(tx: Tx, path: string): Promise<KeySecret> {
  const bytes = (await hasKeys(tx)) ? await readKeySecret(path) : await ensureKeySecret(path)
  if (!bytes) throw keySecretMissing(path)
  return { bytes, path }
}

/** From the key files of earlier versions when there are some: their tokens and credentials stay good. */
async function makeRing(
  tx: Tx,
  secret: KeySecret,
  ring: RingName,
  directory: string,
  now: Date,
): Promise<void> {
  const files = await readKeyFiles(directory, ring)
  for (const [index, file] of files.entries())
    await insertKey(tx, secret, { ring, number: index + 1, ...file })
  const next = files.length + 1
  const isPrimaryThere = files.some((file) => file.primaryAt !== null)
  if (!isPrimaryThere) await insertKey(tx, secret, { ring, number: next, createdAt: now, primaryAt: now })
  const isStagedThere = files.some((file) => file.primaryAt === null)
  if (!isStagedThere)
    await insertKey(tx, secret, {
      ring,
      number: isPrimaryThere ? next : next + 1,
      createdAt: now,
      primaryAt: null,
    })
}
