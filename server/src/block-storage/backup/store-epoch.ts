// The epoch of the database that the store was last found to agree with (ADR 18). A store that is not in the cloud's
// has data that were there before a backup of the cloud was restored, or another database's: nothing of it is removed,
// what is to go is set aside.
import type { CloudEpoch } from "../../platform/cloud/epoch.ts"
import type { Platform } from "../../platform/context/context.ts"
import { objectStore } from "./object-store.ts"

export async function isStoreInEpoch(platform: Platform): Promise<boolean> {
  const found = await readStoreEpoch(platform)
  if (found === null) await enterStoreEpoch(platform)
  return found === null || found.id === platform.epoch.id
}

/** Null: nobody has used it yet. */
async function readStoreEpoch(platform: Platform): Promise<CloudEpoch | null> {
  const text = await objectStore(platform).mark()
  // Written by `enterStoreEpoch`.
  return text === null ? null : (JSON.parse(text) as CloudEpoch)
}

/** False: it was used by a later database than this one. */
export async function mayEnter(platform: Platform): Promise<boolean> {
  const found = await readStoreEpoch(platform)
  return found === null || found.number < platform.epoch.number
}

export async function enterStoreEpoch(platform: Platform): Promise<void> {
  await objectStore(platform).setMark(`${JSON.stringify(platform.epoch)}\n`)
}
