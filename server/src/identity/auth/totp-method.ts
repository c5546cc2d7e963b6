import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { listThings } from "../../platform/noun/list.ts"
import { credentialNoun } from "../credential/credential.ts"
import { openCredential } from "../credential/read.ts"
import { refused } from "../faults.ts"
import { everyone } from "../read.ts"
import { findLoginUser } from "./find-user.ts"
import { countFailure, isLockedOut, lockedOut, readUserRef } from "./password-method.ts"
import type { Proof } from "./request.ts"
import { decodeBase32, isTotpCode } from "./totp.ts"

/** A code of any of the user's credentials of type `totp`. A wrong one counts as a failed login. */
export async function proveTotp(ctx: Ctx, data: unknown): Promise<Proof> {
  const ref = typeof data === "object" && data !== null && "user" in data ? data.user : undefined
  if (typeof ref !== "object" || ref === null) {
    throw invalid("auth.identity.totp.user", "Expecting to find user in totp.")
  }
  const passcode = "passcode" in ref ? String(ref.passcode) : ""
  const user = await findLoginUser(ctx.db, readUserRef(ref, "totp"))
  if (!user?.is_enabled || !user.is_domain_enabled) throw refused("no such user, or disabled", user?.id)
  if (isLockedOut(ctx, user)) throw lockedOut(user)
  const rows = await listThings(ctx.db, credentialNoun, everyone, {
    filters: { userId: [user.id], type: ["totp"] },
  })
  const nowSeconds = ctx.clock.now().getTime() / 1000
  const isRight = rows.some((row) => {
    const secret = decodeBase32(openCredential(ctx, row).blob)
    return secret !== null && isTotpCode(secret, passcode, nowSeconds)
  })
  if (!isRight) {
    await countFailure(ctx, user)
    throw refused("wrong passcode", user.id)
  }
  return {
    userId: user.id,
    epoch: user.epoch,
    options: user.options,
    defaultProjectId: user.default_project_id,
  }
}
