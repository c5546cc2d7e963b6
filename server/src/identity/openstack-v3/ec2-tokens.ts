import type { Static } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { route, withHeaders } from "../../platform/http/wire.ts"
import { mapOf, object } from "../../platform/schema/make.ts"
import { issueTokenByEc2Signature, issueTokenByS3Signature, type KnownToken, tokenJson } from "../index.ts"
import { toldToken } from "./auth-schema.ts"
import { text } from "./schema.ts"

const signed = object(
  {
    access: text,
    signature: text,
    verb: text,
    host: text,
    path: text,
    params: mapOf(text),
    headers: mapOf(text),
    body_hash: text,
    /** Base64 of the text that an S3 client signed. */
    token: text,
  },
  ["access", "signature"],
)

/** Clients of different age wrap it under different names. */
const body = object({ credentials: signed, credential: signed, ec2Credentials: signed })

function unwrap(wrapped: Static<typeof body>): Static<typeof signed> {
  const found = wrapped.credentials ?? wrapped.credential ?? wrapped.ec2Credentials
  if (!found) throw invalid("credentials", "Expecting to find credentials in request body.")
  return found
}

async function tokenReply(ctx: Ctx, known: KnownToken) {
  const json = await tokenJson(ctx, known, { isCatalogWanted: true })
  return withHeaders(json, { "content-type": "application/json", "X-Subject-Token": known.token.id })
}

export const ec2TokenRoutes = [
  route({
    method: "POST",
    path: "/ec2tokens",
    operation: issueTokenByEc2Signature,
    status: 200,
    told: toldToken,
    body,
    handler: async (ctx, req) => {
      const given = unwrap(req.body)
      const known = await issueTokenByEc2Signature(ctx, {
        access: given.access,
        signature: given.signature,
        verb: given.verb ?? "",
        host: given.host ?? "",
        path: given.path ?? "",
        params: given.params ?? {},
        headers: given.headers ?? {},
        bodyHash: given.body_hash ?? "",
      })
      return await tokenReply(ctx, known)
    },
  }),
  route({
    method: "POST",
    path: "/s3tokens",
    operation: issueTokenByS3Signature,
    status: 200,
    told: toldToken,
    body,
    handler: async (ctx, req) => {
      const { access, signature, token } = unwrap(req.body)
      if (token === undefined) throw invalid("credentials.token", "Expecting to find token in credentials.")
      const signedText = Buffer.from(token, "base64").toString("utf8")
      return await tokenReply(ctx, await issueTokenByS3Signature(ctx, { access, signature, signedText }))
    },
  }),
]
