// What of a login goes into the audit records. A token that buys another one is no login: whoever has it has logged in
// before, and services do it all day (Keystone does not tell of it either).
import type { Ctx } from "../../platform/context/context.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { auditLogin } from "../audit/audit.ts"
import { moreMethodsWanted } from "../faults.ts"
import type { KnownToken } from "../token/cache.ts"
import type { LoginRequest } from "./request.ts"

export function recordLogin(ctx: Ctx, request: LoginRequest, { token }: KnownToken): void {
  if (isTokenOnly(request)) return
  auditLogin(ctx, {
    outcome: "success",
    userId: token.user.id,
    userName: token.user.name,
    methods: request.methods,
    auditId: token.payload.auditIds[0] ?? null,
    reason: null,
  })
}

export function recordRefusal(ctx: Ctx, request: LoginRequest, error: unknown): void {
  if (isTokenOnly(request)) return
  recordFailure(ctx, { methods: request.methods, user: namedUser(request) }, error)
}

interface Named {
  id?: string
  name?: string
}

/** Outcomes that are about the client; a bug or a database that is away is no answer to a login. */
export function recordFailure(
  ctx: Ctx,
  { methods, user }: { methods: readonly string[]; user: Named },
  error: unknown,
): void {
  if (!(error instanceof Fault)) return
  if (!["unauthenticated", "forbidden", "rate_limited"].includes(error.kind)) return
  const { why, userId } = (error.internal ?? {}) as { why?: string; userId?: string } // as `refused` fills it
  const status = error.kind === "forbidden" ? 403 : error.kind === "rate_limited" ? 429 : 401
  auditLogin(ctx, {
    outcome: moreMethodsWanted.is(error) ? "pending" : "failure",
    userId: userId ?? null,
    userName: userId ? null : (user.name ?? user.id ?? null),
    methods,
    auditId: null,
    reason: { text: why ?? error.message, status },
  })
}

function isTokenOnly({ methods }: LoginRequest): boolean {
  return methods.length > 0 && methods.every((method) => method === "token")
}

/** Longer names are cut: nobody has them, and guesses may be of any length. */
const nameLengthMax = 255

/** Whom the client says to be, in whichever method names a user. */
function namedUser({ identity }: LoginRequest): Named {
  for (const method of ["password", "totp", "application_credential"]) {
    const user = memberOf(identity[method], "user")
    const [id, name] = [memberOf(user, "id"), memberOf(user, "name")]
    if (typeof id === "string") return { id: id.slice(0, nameLengthMax) }
    if (typeof name === "string") return { name: name.slice(0, nameLengthMax) }
  }
  return {}
}

function memberOf(value: unknown, key: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined
  return (value as Record<string, unknown>)[key] // it has that member
}
