// A user may have to prove more than one thing (options multi_factor_auth_rules). What is proved so far is put into
// a receipt that the client brings back with the rest.
import type { Ctx } from "../../platform/context/context.ts"
import { moreMethodsWanted, type ReceiptFacts, refused } from "../faults.ts"
import { timeText } from "../token/view.ts"
import type { LoginUser } from "./find-user.ts"

const lifetimeMs = 300_000

interface ReceiptClaims {
  userId: string
  methods: string[]
  expiresAtMs: number
}

/** The rules of the user that name methods we have; none: anything is enough. */
export function rulesOf(options: Readonly<Record<string, unknown>>, known: readonly string[]): string[][] {
  if (options.multi_factor_auth_enabled === false) return []
  const rules = options.multi_factor_auth_rules
  if (!Array.isArray(rules)) return []
  // A method that this cloud does not have cannot lock a user out.
  return rules
    .map((rule) => (Array.isArray(rule) ? rule.filter((m) => known.includes(m)) : []))
    .filter((rule) => rule.length > 0)
}

export function isEnough(rules: readonly string[][], done: readonly string[]): boolean {
  return rules.length === 0 || rules.some((rule) => rule.every((method) => done.includes(method)))
}

/** The fault that hands out the receipt. */
export function receiptFor(
  ctx: Ctx,
  user: Pick<LoginUser, "id" | "name" | "domain_id"> & { domain_name: string },
  done: readonly string[],
  rules: readonly string[][],
) {
  const now = ctx.clock.now().getTime()
  const claims: ReceiptClaims = { userId: user.id, methods: [...done], expiresAtMs: now + lifetimeMs }
  const id = ctx.drivers.identity.receiptKeys.encrypt(
    Buffer.from(JSON.stringify(claims), "utf8"),
    Math.floor(now / 1000),
  )
  const facts: ReceiptFacts = {
    id,
    body: {
      receipt: {
        methods: done,
        user: {
          domain: { id: user.domain_id, name: user.domain_name },
          id: user.id,
          name: user.name,
        },
        expires_at: timeText(claims.expiresAtMs),
        issued_at: timeText(now),
      },
      required_auth_methods: rules,
    },
  }
  return moreMethodsWanted(facts)
}

/** The methods that a receipt stands for; it must be of that user and not too old. */
export async function readReceipt(ctx: Ctx, id: string, userId: string): Promise<string[]> {
  const { receiptKeys } = ctx.drivers.identity
  const message = receiptKeys.decrypt(id) ?? (await receiptKeys.decryptLate(id))
  if (!message) throw refused("not a receipt of this cloud")
  const claims = JSON.parse(message.payload.toString("utf8")) as ReceiptClaims
  if (claims.userId !== userId) throw refused("the receipt is another user's")
  if (claims.expiresAtMs <= ctx.clock.now().getTime()) throw refused("the receipt is expired")
  return claims.methods
}
