import { sql } from "kysely"
import type { Ctx } from "../../platform/context/context.ts"
import { type Fault, invalid } from "../../platform/fault/fault.ts"
import { passwordExpired, refused } from "../faults.ts"
import { findLoginUser, type LoginUser } from "./find-user.ts"
import type { Proof, UserRef } from "./request.ts"

const dayMs = 86_400_000

/** Unknown user, wrong password and locked user look the same and take the same time. */
export async function provePassword(ctx: Ctx, data: unknown): Promise<Proof> {
  const { user: ref, password } = readPasswordData(data)
  const user = await findLoginUser(ctx.db, ref)
  await checkPassword(ctx, user, password)
  if (!user) throw refused("no such user")
  if (!user.is_enabled || !user.is_domain_enabled)
    throw refused("the user or its domain is disabled", user.id)
  if (isInactive(ctx, user)) throw refused("the user was not active for too long", user.id)
  if (isExpired(ctx, user)) throw passwordExpired(user.id)
  await recordLogin(ctx, user)
  return {
    userId: user.id,
    epoch: user.epoch,
    options: user.options,
    defaultProjectId: user.default_project_id,
  }
}

/** The right password of a user who is not locked out; counts failures. Also for a change of password. */
export async function checkPassword(ctx: Ctx, user: LoginUser | null, password: string): Promise<void> {
  const isLocked = user !== null && isLockedOut(ctx, user)
  const isRight = await ctx.drivers.identity.hasher.verify(password, user?.hash ?? null)
  if (isLocked) throw lockedOut(user)
  if (isRight) return
  if (user) await countFailure(ctx, user)
  throw refused("wrong user or password", user?.id)
}

function readPasswordData(data: unknown): { user: UserRef; password: string } {
  const user = typeof data === "object" && data !== null && "user" in data ? data.user : undefined
  if (typeof user !== "object" || user === null) {
    throw invalid("auth.identity.password.user", "Expecting to find user in password.")
  }
  const ref = readUserRef(user, "password")
  const password = "password" in user ? user.password : undefined
  if (typeof password !== "string") {
    throw invalid("auth.identity.password.user.password", "Expecting to find password in user, as a string.")
  }
  return { user: ref, password }
}

export function readUserRef(user: object, method: string): UserRef {
  const id = "id" in user ? user.id : undefined
  const name = "name" in user ? user.name : undefined
  if (typeof id === "string" && id !== "") return { id }
  if (typeof name !== "string" || name === "") {
    throw invalid(
      `auth.identity.${method}.user`,
      `Invalid input for field identity/${method}/user: id or name must be present.`,
    )
  }
  const domain = "domain" in user ? user.domain : undefined
  if (typeof domain !== "object" || domain === null) {
    throw invalid(`auth.identity.${method}.user.domain`, "Expecting to find domain in user.")
  }
  const domainId = "id" in domain ? domain.id : undefined
  const domainName = "name" in domain ? domain.name : undefined
  if (typeof domainId === "string") return { name, domain: { id: domainId } }
  if (typeof domainName === "string") return { name, domain: { name: domainName } }
  throw invalid(
    `auth.identity.${method}.user.domain`,
    `Invalid input for field identity/${method}/user/domain: id or name must be present.`,
  )
}

/** In Keystone's words, which auditors look for. */
export function lockedOut(user: LoginUser): Fault {
  return refused(`The account is locked for user: ${user.id}.`, user.id)
}

/** Too many failures in a row, not long ago. */
export function isLockedOut(ctx: Ctx, user: LoginUser): boolean {
  const { lockout_failure_attempts: most, lockout_duration: seconds } =
    ctx.config.identity.security_compliance
  if (most === 0 || user.failed_count < most || !user.failed_at) return false
  if (user.options.ignore_lockout_failure_attempts === true) return false
  return user.failed_at.getTime() + seconds * 1000 > ctx.clock.now().getTime()
}

function isInactive(ctx: Ctx, user: LoginUser): boolean {
  const days = ctx.config.identity.security_compliance.disable_user_account_days_inactive
  if (days === 0 || user.options.ignore_user_inactivity === true) return false
  const lastMs = (user.last_login_at ?? user.created_at).getTime()
  return ctx.clock.now().getTime() - lastMs > days * dayMs
}

/** Past its end, or set by an administrator where the user must choose one first. */
export function isExpired(ctx: Ctx, user: LoginUser): boolean {
  const mustChange =
    ctx.config.identity.security_compliance.change_password_upon_first_use &&
    user.options.ignore_change_password_upon_first_use !== true &&
    user.is_self_service === false
  if (mustChange) return true
  return user.password_expires_at !== null && user.password_expires_at.getTime() <= ctx.clock.now().getTime()
}

export async function countFailure(ctx: Ctx, user: LoginUser): Promise<void> {
  const { lockout_failure_attempts: most, lockout_duration: seconds } =
    ctx.config.identity.security_compliance
  if (most === 0) return
  const now = ctx.clock.now()
  const forgetBefore = new Date(now.getTime() - seconds * 1000)
  // Counted by the database, so that guesses sent at once all count; a lock that is over starts from one again.
  await sql`insert into identity.login_state as s (user_id, failed_count, failed_at) values (${user.id}, 1, ${now})
    on conflict (user_id) do update set failed_at = ${now}, failed_count =
      case when s.failed_count >= ${most} and s.failed_at < ${forgetBefore} then 1 else s.failed_count + 1 end
  `.execute(ctx.db)
}

async function recordLogin(ctx: Ctx, user: LoginUser): Promise<void> {
  const isActivityWanted = ctx.config.identity.security_compliance.disable_user_account_days_inactive > 0
  if (!isActivityWanted && user.failed_count === 0) return
  await sql`insert into identity.login_state (user_id, last_login_at) values (${user.id}, ${ctx.clock.now()})
    on conflict (user_id) do update set last_login_at = excluded.last_login_at, failed_count = 0, failed_at = null
  `.execute(ctx.db)
}
