// What a token carries, packed small: ids of 32 hex digits take 16 bytes, a token stays near 200 characters.
import { randomBytes } from "node:crypto"

export type TokenScope =
  | { kind: "unscoped" }
  | { kind: "project"; id: string }
  | { kind: "domain"; id: string }
  | { kind: "system" }

export interface TokenPayload {
  /** Who authenticated; with a trust that impersonates, still the trustee. */
  userId: string
  /** Sum of the epochs of the users that the token stands on; each only rises, so equal sums mean that none rose. */
  epoch: number
  methods: readonly string[]
  scope: TokenScope
  issuedAtMs: number
  expiresAtMs: number
  /** Own audit id, then that of the token that began the chain. */
  auditIds: readonly string[]
  trustId: string | null
  applicationCredentialId: string | null
  /** Of OAuth 1. */
  accessTokenId: string | null
}

const formatVersion = 1
/** With an access token at its end. A program that does not know of those must not take it for a token without. */
const oauthFormatVersion = 2
/** Order is the wire: append only. */
const knownMethods = [
  "password",
  "token",
  "application_credential",
  "totp",
  "ec2credential",
  "external",
  "oauth1",
] as const
const scopeKinds = ["unscoped", "project", "domain", "system"] as const

const hex32 = /^[0-9a-f]{32}$/

/** 16 random bytes as 22 characters of base64url, Keystone's form. */
export function newAuditId(): string {
  return randomBytes(16).toString("base64url")
}

export function encodePayload(payload: TokenPayload): Buffer {
  const parts: Buffer[] = []
  const byte = (n: number) => parts.push(Buffer.of(n))
  const number = (n: number) => {
    const bytes = Buffer.alloc(6)
    bytes.writeUIntBE(n, 0, 6)
    parts.push(bytes)
  }
  const text = (value: string) => {
    if (hex32.test(value)) parts.push(Buffer.of(0xff), Buffer.from(value, "hex"))
    else {
      const bytes = Buffer.from(value, "utf8")
      if (bytes.length > 0xfe) throw new Error("an id of a token has at most 254 bytes")
      parts.push(Buffer.of(bytes.length), bytes)
    }
  }
  byte(payload.accessTokenId === null ? formatVersion : oauthFormatVersion)
  byte(methodBits(payload.methods))
  byte(scopeKinds.indexOf(payload.scope.kind))
  number(payload.issuedAtMs)
  number(payload.expiresAtMs)
  number(payload.epoch)
  text(payload.userId)
  text("id" in payload.scope ? payload.scope.id : "")
  text(payload.trustId ?? "")
  text(payload.applicationCredentialId ?? "")
  byte(payload.auditIds.length)
  for (const id of payload.auditIds) parts.push(Buffer.from(id, "base64url"))
  if (payload.accessTokenId !== null) text(payload.accessTokenId)
  return Buffer.concat(parts)
}

/** Null for what is no payload of ours. */
export function decodePayload(bytes: Buffer): TokenPayload | null {
  try {
    return readPayload(bytes)
  } catch {
    // Reading past the end: a message of another version or another program.
    return null
  }
}

function readPayload(bytes: Buffer): TokenPayload | null {
  let at = 0
  const byte = () => bytes.readUInt8(at++)
  const number = () => {
    at += 6
    return bytes.readUIntBE(at - 6, 6)
  }
  const slice = (length: number) => {
    if (at + length > bytes.length) throw new RangeError("payload ends too early")
    at += length
    return bytes.subarray(at - length, at)
  }
  const text = () => {
    const length = byte()
    return length === 0xff ? slice(16).toString("hex") : slice(length).toString("utf8")
  }
  const version = byte()
  if (version !== formatVersion && version !== oauthFormatVersion) return null
  const methods = methodsOf(byte())
  const kind = scopeKinds[byte()]
  const issuedAtMs = number()
  const expiresAtMs = number()
  const epoch = number()
  const userId = text()
  const scopeId = text()
  const trustId = text() || null
  const applicationCredentialId = text() || null
  const auditIds = Array.from({ length: byte() }, () => slice(16).toString("base64url"))
  const accessTokenId = version === oauthFormatVersion ? text() : null
  const scope = scopeOf(kind, scopeId)
  if (!scope) return null
  return {
    userId,
    epoch,
    methods,
    scope,
    issuedAtMs,
    expiresAtMs,
    auditIds,
    trustId,
    applicationCredentialId,
    accessTokenId,
  }
}

function scopeOf(kind: (typeof scopeKinds)[number] | undefined, id: string): TokenScope | null {
  if (kind === undefined) return null
  return kind === "project" || kind === "domain" ? { kind, id } : { kind }
}

function methodBits(methods: readonly string[]): number {
  return knownMethods.reduce((bits, method, i) => (methods.includes(method) ? bits | (1 << i) : bits), 0)
}

function methodsOf(bits: number): string[] {
  return knownMethods.filter((_, i) => bits & (1 << i))
}
