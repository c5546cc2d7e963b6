// What a new password must be like, and how one replaces another.
import { sql } from "kysely"
import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { forbidden } from "../faults.ts"
import type { Json } from "../tables.ts"
import { revokeUserTokens } from "../token/revoke.ts"

const dayMs = 86_400_000

/** The configured pattern and a length that costs no hash to check. */
export function checkPasswordForm(ctx: Ctx, password: string): void {
  const rules = ctx.config.identity.security_compliance
  if (password.length > passwordLengthMax) {
    throw invalid("password", `The password is longer than ${passwordLengthMax} characters.`)
  }
  if (rules.password_regex === "" || new RegExp(rules.password_regex).test(password)) return
  const hint = rules.password_regex_description
  throw invalid("password", `The password does not match the requirements${hint ? `: ${hint}` : ""}.`)
}

const passwordLengthMax = 4_096

/** The newest hashes that may not come again when the user chooses; made outside the transaction, as it takes long. */
export async function checkHistory(ctx: Ctx, userId: string, password: string): Promise<void> {
  const count = ctx.config.identity.security_compliance.unique_last_password_count
  if (count === 0) return
  const rows = await ctx.db
    .selectFrom("identity.password")
    .select("hash")
    .where("user_id", "=", userId)
    .orderBy("id", "desc")
    .limit(count)
    .execute()
  for (const { hash } of rows) {
    if (await ctx.drivers.identity.hasher.verify(password, hash)) {
      throw invalid(
        "password",
        `The new password cannot be identical to one of the last ${count}, the present one included.`,
      )
    }
  }
}

/** A user may not run through the history by changing many times. */
export async function checkAge(ctx: Ctx, db: DbOrTx, userId: string): Promise<void> {
  const days = ctx.config.identity.security_compliance.minimum_password_age
  if (days === 0) return
  const row = await db
    .selectFrom("identity.password")
    .select(["created_at", "is_self_service"])
    .where("user_id", "=", userId)
    .orderBy("id", "desc")
    .executeTakeFirst()
  if (!row?.is_self_service) return
  const end = row.created_at.getTime() + days * dayMs
  if (ctx.clock.now().getTime() < end) {
    throw invalid(
      "password",
      `The password must be ${days} days old to be changed; that is from ${new Date(end).toISOString()} on.`,
    )
  }
}

export function refuseLocked(options: Json): void {
  if (options.lock_password === true)
    throw forbidden("The password of this user is locked and cannot be changed by the user.")
}

/** Puts a password in force; every token of the user ends. */
export async function replacePassword(
  ctx: Ctx,
  tx: Tx,
  user: { id: string; options: Json },
  hash: string | null,
  isSelfService: boolean,
): Promise<void> {
  if (hash === null) await tx.deleteFrom("identity.password").where("user_id", "=", user.id).execute()
  else {
    const days = ctx.config.identity.security_compliance.password_expires_days
    const isExpiring = days > 0 && user.options.ignore_password_expiry !== true
    const now = ctx.clock.now()
    await tx
      .insertInto("identity.password")
      .values({
        user_id: user.id,
        hash,
        is_self_service: isSelfService,
        created_at: now,
        expires_at: isExpiring ? new Date(now.getTime() + days * dayMs) : null,
      })
      .execute()
    await forgetOld(ctx, tx, user.id)
  }
  await tx.deleteFrom("identity.login_state").where("user_id", "=", user.id).execute()
  await revokeUserTokens(tx, user.id)
}

/** Keeps as many as the history asks for, and the one in force. */
async function forgetOld(ctx: Ctx, tx: Tx, userId: string): Promise<void> {
  const keep = Math.max(1, ctx.config.identity.security_compliance.unique_last_password_count)
  await sql`delete from identity.password where user_id = ${userId} and id not in (
    select id from identity.password where user_id = ${userId} order by id desc limit ${keep})`.execute(tx)
}
