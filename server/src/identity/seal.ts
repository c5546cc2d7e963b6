// Short-lived secrets of other services at rest, under the keys of credentials. What has to outlive a rotation of
// these keys must not be kept so: only credentials are sealed anew.
import type { Platform } from "../platform/context/context.ts"

export function seal({ clock, drivers }: Platform, text: string): string {
  const seconds = Math.floor(clock.now().getTime() / 1000)
  return drivers.identity.credentialKeys.encrypt(Buffer.from(text, "utf8"), seconds)
}

/** Null when its key is gone. */
export function openSealed({ drivers }: Platform, sealed: string): string | null {
  return drivers.identity.credentialKeys.decrypt(sealed)?.payload.toString("utf8") ?? null
}
