// Tokens by which a host joins: one host, once, for a time.
import { createHash } from "node:crypto"
import type { Platform } from "../../platform/context/context.ts"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { newSecret, newUuid } from "../../platform/ids/ids.ts"
import {
  hostAddressOther,
  hostAddressUnseen,
  hostNameOther,
  hostTokenControl,
  joinTokenUnusable,
} from "../faults.ts"

export interface IssuedToken {
  /** Shown once. */
  secret: string
  expiresAt: Date
}

const secretBytes = 32
/** What is over for so long tells nobody anything. */
const keptAfterMs = 30 * 24 * 3_600_000

export interface TokenWish {
  /** Null: for a host of any name. */
  hostName: string | null
  /** Where the other hosts reach it; null: at the address that it comes from. */
  address: string | null
  lastsMs: number
  /** For a control host: with it come the cloud's secrets. */
  isControl?: boolean
}

export async function issueJoinToken({ db, clock }: Platform, how: TokenWish): Promise<IssuedToken> {
  const secret = newSecret(secretBytes)
  const now = clock.now()
  const expiresAt = new Date(now.getTime() + how.lastsMs)
  await db
    .deleteFrom("host.join_token")
    .where("expires_at", "<", new Date(now.getTime() - keptAfterMs))
    .execute()
  await db
    .insertInto("host.join_token")
    .values({
      id: newUuid(),
      secret_hash: hashOf(secret),
      host_name: how.hostName,
      address: how.address,
      is_control: how.isControl ?? false,
      created_at: now,
      expires_at: expiresAt,
    })
    .execute()
  return { secret, expiresAt }
}

export interface TokenUse {
  secret: string
  hostName: string
  /** As the host says it, and as its connection does. */
  address: string
  from: string
  isControl: boolean
  now: Date
}

/** Throws when the token lets nobody in, or not a host of this name and address. */
export async function checkJoinToken(db: DbOrTx, use: TokenUse): Promise<void> {
  const found = await db
    .selectFrom("host.join_token")
    .select(["host_name", "address", "expires_at", "is_control"])
    .where("secret_hash", "=", hashOf(use.secret))
    .executeTakeFirst()
  if (!found || found.expires_at.getTime() <= use.now.getTime()) throw joinTokenUnusable()
  if (found.is_control !== use.isControl) throw hostTokenControl(found.is_control)
  if (found.host_name !== null && found.host_name !== use.hostName) throw hostNameOther(found.host_name)
  if (use.address === (found.address ?? use.from)) return
  throw found.address === null ? hostAddressUnseen(use.address, use.from) : hostAddressOther(found.address)
}

/**
 * Of two hosts with one token one gets in. That one may ask again with the same key (its sha256): the answer may have
 * been lost. Says whether it has: then it is a member already, or was one and is none any more.
 */
export async function consumeJoinToken(tx: Tx, use: TokenUse, key: Buffer): Promise<{ isAgain: boolean }> {
  const token = await tx
    .selectFrom("host.join_token")
    .select(["id", "used_by_key"])
    .where("secret_hash", "=", hashOf(use.secret))
    .where("expires_at", ">", use.now)
    .forUpdate()
    .executeTakeFirst()
  if (!token) throw joinTokenUnusable()
  if (token.used_by_key !== null) {
    if (!token.used_by_key.equals(key)) throw joinTokenUnusable()
    return { isAgain: true }
  }
  const used = { used_at: use.now, used_by_key: key }
  await tx.updateTable("host.join_token").set(used).where("id", "=", token.id).execute()
  return { isAgain: false }
}

function hashOf(secret: string): Buffer {
  return createHash("sha256").update(secret).digest()
}
