import type { Ctx } from "../../platform/context/context.ts"
import { refused } from "../faults.ts"
import { accessTokenNoun } from "../oauth/access-token.ts"
import { consumerNoun } from "../oauth/consumer.ts"
import { refuseExpired } from "../oauth/request-token.ts"
import { needParameter, readSigned, verifySigned } from "../oauth/verify.ts"
import { find } from "../read.ts"
import { findLoginUser } from "./find-user.ts"
import type { LoginRequest, Proof } from "./request.ts"

/** A consumer that signs with an access token stands for the user who gave it, on the one project, with those roles. */
export async function proveOauth1(ctx: Ctx, { signed }: LoginRequest): Promise<Proof> {
  if (!signed) throw refused("no signed request")
  const parameters = readSigned(signed)
  const accessToken = await find(ctx.db, accessTokenNoun, needParameter(parameters, "oauth_token"))
  if (!accessToken) throw refused("no such access token")
  refuseExpired(ctx, accessToken, "access token")
  const consumer = await find(ctx.db, consumerNoun, needParameter(parameters, "oauth_consumer_key"))
  if (!consumer || consumer.id !== accessToken.consumerId)
    throw refused("the access token is another consumer's", accessToken.authorizingUserId)
  await verifySigned(ctx, signed, parameters, consumer, accessToken.secret)
  const user = await findLoginUser(ctx.db, { id: accessToken.authorizingUserId })
  if (!user?.is_enabled || !user.is_domain_enabled) throw refused("the user is disabled", user?.id)
  const end = accessToken.expiresAt?.getTime()
  return {
    userId: user.id,
    epoch: user.epoch,
    options: user.options,
    defaultProjectId: null,
    ...(end === undefined ? {} : { expiresAtMsMost: end }),
    accessToken: { id: accessToken.id, projectId: accessToken.projectId },
  }
}
