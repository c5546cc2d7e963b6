// Secrets of other services at rest: short-lived ones under the keys of credentials, which are rotated while only
// credentials are sealed anew, and those that stay under the secret that never changes.
import type { Platform } from "../platform/context/context.ts"
import { seal as sealWith, unseal } from "./keys/key-secret.ts"

export function seal({ clock, drivers }: Platform, text: string): string {
  const seconds = Math.floor(clock.now().getTime() / 1000)
  return drivers.identity.credentialKeys.encrypt(Buffer.from(text, "utf8"), seconds)
}

/** Null when its key is gone. */
export function openSealed({ drivers }: Platform, sealed: string): string | null {
  return drivers.identity.credentialKeys.decrypt(sealed)?.payload.toString("utf8") ?? null
}

/** For as long as the cloud has its secret. `place` says where the text belongs; elsewhere it does not open. */
export function sealLasting({ drivers }: Platform, place: string, text: string): string {
  return sealWith(drivers.identity.keys.secret.bytes, lasting(place), text)
}

/** Null when it was sealed for another place, or by another cloud. */
export function openLasting({ drivers }: Platform, place: string, sealed: string): string | null {
  return unseal(drivers.identity.keys.secret.bytes, lasting(place), sealed)
}

/** Told apart from the keys of identity itself. */
const lasting = (place: string) => `lasting/${place}`
