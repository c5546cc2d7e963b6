// OS-OAUTH2: an access token for client credentials (RFC 6749, section 4.4). The client is an application credential,
// the access token a token like any other. Errors have the form of that document; fault-table.ts shows them.
import type { Readable } from "node:stream"
import { Type } from "typebox"
import { count, text } from "../../api/openstack/shape.ts"
import { Fault, fault, invalid } from "../../platform/fault/fault.ts"
import { type Route, route, type WireRequest, withHeaders } from "../../platform/http/wire.ts"
import { issueTokenByLogin } from "../index.ts"

export const clientUnknown = fault(
  "unauthenticated",
  "api.identity.oauth2_client",
  () => "Client authentication failed.",
)

export const grantTypeUnsupported = fault(
  "invalid",
  "api.identity.oauth2_grant_type",
  (grantType: string) => `The parameter grant_type ${grantType} is not supported.`,
)

/** Two short parameters. */
const formBytesMax = 16_384

async function readForm(stream: Readable): Promise<URLSearchParams> {
  const chunks: Buffer[] = []
  let size = 0
  // The request stays open when we give up: the answer goes out on the same connection.
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    const bytes = Buffer.from(chunk as Buffer) // the stream of a request has no encoding set
    size += bytes.length
    if (size > formBytesMax)
      throw new Fault("too_large", "request.body_too_large", `At most ${formBytesMax} bytes are taken.`)
    chunks.push(bytes)
  }
  return new URLSearchParams(Buffer.concat(chunks).toString("utf8"))
}

interface Client {
  id: string
  secret: string
}

/** By HTTP Basic, or by parameters of the form. */
function readClient(req: WireRequest, form: URLSearchParams): Client {
  const { authorization } = req.headers
  const basic = typeof authorization === "string" ? /^Basic\s+(\S+)$/i.exec(authorization)?.[1] : undefined
  if (basic === undefined) {
    const [id, secret] = [form.get("client_id"), form.get("client_secret")]
    if (!id || !secret) throw clientUnknown()
    return { id, secret }
  }
  const [, id, secret] = /^([^:]*):(.*)$/s.exec(Buffer.from(basic, "base64").toString("utf8")) ?? []
  if (!id || !secret) throw clientUnknown()
  return { id, secret }
}

export const oauth2Routes: readonly Route[] = [
  route({
    method: "POST",
    path: "/OS-OAUTH2/token",
    operation: issueTokenByLogin,
    rawBody: true,
    told: { answer: Type.Object({ access_token: text, token_type: text, expires_in: count }) },
    status: 200,
    handler: async (ctx, req) => {
      const form = await readForm(req.stream)
      const grantType = form.get("grant_type")
      if (grantType === null) throw invalid("grant_type", "The parameter grant_type is required.")
      if (grantType !== "client_credentials") throw grantTypeUnsupported(grantType)
      const { token, expiresAtMs } = await issueTokenByLogin(ctx, {
        request: {
          methods: ["application_credential"],
          identity: { application_credential: readClient(req, form) },
          scope: { kind: "default" },
          receipt: null,
          remoteAddress: req.remoteAddress,
          signed: null,
        },
      })
      const body = {
        access_token: token.id,
        token_type: "Bearer",
        expires_in: Math.floor((expiresAtMs - ctx.clock.now().getTime()) / 1000),
      }
      return withHeaders(body, { "cache-control": "no-store", pragma: "no-cache" })
    },
  }),
]
