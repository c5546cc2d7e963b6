import type { Platform } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import type { KnownToken } from "./cache.ts"
import { encodePayload, newAuditId, type TokenPayload, type TokenScope } from "./payload.ts"
import { findToken } from "./validate.ts"

export interface TokenRequest {
  userId: string
  epoch: number
  methods: readonly string[]
  scope: TokenScope
  /** The earliest of these and of the configured lifetime ends the token. */
  expiresAtMsMost: number | null
  /** First audit id of the chain that the token continues. */
  parentAuditId: string | null
  trustId: string | null
  applicationCredentialId: string | null
  accessTokenId: string | null
}

/** Makes the token and looks at it as every later validation will: no role, a disabled project … refuse it here. */
export async function issueToken(
  platform: Platform,
  request: TokenRequest,
  db: DbOrTx = platform.db,
): Promise<KnownToken> {
  const nowMs = platform.clock.now().getTime()
  const lifetimeMs = platform.config.identity.tokenLifetimeSeconds * 1000
  // Whole seconds, as clients compare it with what they read back elsewhere.
  const expiresAtMs = Math.min(
    Math.floor((nowMs + lifetimeMs) / 1000) * 1000,
    request.expiresAtMsMost ?? Number.POSITIVE_INFINITY,
  )
  const payload: TokenPayload = {
    userId: request.userId,
    epoch: request.epoch,
    methods: request.methods,
    scope: request.scope,
    issuedAtMs: nowMs,
    expiresAtMs,
    auditIds: [newAuditId(), ...(request.parentAuditId ? [request.parentAuditId] : [])],
    trustId: request.trustId,
    applicationCredentialId: request.applicationCredentialId,
    accessTokenId: request.accessTokenId,
  }
  const { tokenKeys } = platform.drivers.identity
  const id = tokenKeys.encrypt(encodePayload(payload), Math.floor(nowMs / 1000))
  return await findToken(platform, id, payload, db)
}
