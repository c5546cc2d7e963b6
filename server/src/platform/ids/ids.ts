import { randomBytes, randomUUID } from "node:crypto"

/** A random UUID with dashes, as Nova, Neutron, Glance and Cinder show ids. */
export function newUuid(): string {
  return randomUUID()
}

/** 32 hex digits without dashes, as Keystone shows ids. */
export function newHexId(): string {
  return randomUUID().replaceAll("-", "")
}

/** `req-<uuid>`, the form of an OpenStack request id. */
export function newRequestId(): string {
  return `req-${randomUUID()}`
}

/** URL-safe random text of `bytes` bytes of entropy. None begins with "-", which a command line would take for an option. */
export function newSecret(bytes = 24): string {
  const secret = randomBytes(bytes).toString("base64url")
  return secret.startsWith("-") ? newSecret(bytes) : secret
}

const uuidPattern = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i

/** Whether the text is a UUID, with or without dashes; ask before it reaches a `uuid` column. */
export function isUuid(text: string): boolean {
  return uuidPattern.test(text)
}
