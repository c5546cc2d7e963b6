import { Type } from "typebox"
import { invalid } from "../../platform/fault/fault.ts"
import { operation } from "../../platform/operation/operation.ts"
import { findLoginUser } from "../auth/find-user.ts"
import { checkPassword } from "../auth/password-method.ts"
import { recordFailure } from "../auth/record.ts"
import { announce, changeIdentity } from "../change.ts"
import { found, notFound, refused, throttled, unauthenticated } from "../faults.ts"
import {
  checkAge,
  checkHistory,
  checkPasswordForm,
  refuseLocked,
  replacePassword,
} from "../password/rules.ts"
import { lock } from "../read.ts"
import { userNoun } from "./user.ts"

/** The user's own change. The old password is the permission, so that an expired one can be changed as well. */
export const changeOwnPassword = operation({
  name: "identity.user.change_password",
  input: Type.Object({
    userId: Type.String(),
    originalPassword: Type.String(),
    password: Type.String(),
    /** Where the request comes from: guessing here is slowed down as at a login. */
    remoteAddress: Type.String(),
  }),
  faults: [unauthenticated, notFound, throttled],
  rules: "public",
  run: async (ctx, { userId, originalPassword, password, remoteAddress }) => {
    const user = await findLoginUser(ctx.db, { id: userId })
    try {
      await ctx.drivers.identity.throttle.guard(remoteAddress, () =>
        checkPassword(ctx, user, originalPassword),
      )
    } catch (error) {
      // Guessing here is guessing.
      recordFailure(ctx, { methods: ["password"], user: { id: userId } }, error)
      throw error
    }
    if (!user?.is_enabled || !user.is_domain_enabled) throw refused("the user is disabled")
    refuseLocked(user.options)
    checkPasswordForm(ctx, password)
    await checkAge(ctx, ctx.db, userId)
    await checkHistory(ctx, userId, password)
    const hash = await ctx.drivers.identity.hasher.hash(password)
    await changeIdentity(ctx, async (tx) => {
      const before = found(await lock(tx, userNoun, userId), "user", userId)
      // Two changes at once: the second has proved a password that is no longer in force.
      const now = await findLoginUser(tx, { id: userId })
      if (now?.hash !== user.hash) throw invalid("original_password", "The password was changed meanwhile.")
      await replacePassword(ctx, tx, before, hash, true)
      await announce(ctx, tx, "user", "updated", userId)
    })
  },
})
