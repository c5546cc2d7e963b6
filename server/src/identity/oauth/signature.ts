// Signatures of OAuth 1.0a over a request: RFC 5849, section 3.4. The keyed hashes, and PLAINTEXT, which is for
// connections that nobody can listen to; nobody has registered public keys.
import { createHmac } from "node:crypto"
import { isEqualText } from "../auth/ec2-signature.ts"

export interface SignedRequest {
  method: string
  /** Scheme and host as the client may have signed them: behind a proxy we do not see the client's own. */
  origins: readonly string[]
  /** Path with query, as received. */
  url: string
  authorization: string | null
}

const hashOf: Readonly<Record<string, string>> = {
  "HMAC-SHA1": "sha1",
  "HMAC-SHA256": "sha256",
  "HMAC-SHA512": "sha512",
}

/** RFC 3986, stricter than encodeURIComponent. */
export function percentEncode(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

function percentDecode(text: string): string | null {
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}

/** The parameters of `Authorization: OAuth …`; null for any other header and for one that says something twice. */
export function readOauthHeader(authorization: string | null): ReadonlyMap<string, string> | null {
  const match = /^OAuth\s+(.*)$/is.exec(authorization ?? "")
  if (!match) return null
  const parameters = new Map<string, string>()
  for (const part of (match[1] ?? "").split(",")) {
    const pair = /^\s*([^=\s]+)\s*=\s*"([^"]*)"\s*$/.exec(part)
    const [name, value] = [percentDecode(pair?.[1] ?? "%"), percentDecode(pair?.[2] ?? "%")]
    if (name === null || value === null || parameters.has(name)) return null
    parameters.set(name, value)
  }
  return parameters
}

/** Section 3.4.1.2: lower case, without the usual port and without the query. */
function baseUri(origin: string, path: string): string {
  const { protocol, host } = new URL(origin)
  return `${protocol}//${host}${path}`
}

function baseString(
  request: Pick<SignedRequest, "method" | "url">,
  origin: string,
  oauth: ReadonlyMap<string, string>,
): string {
  const [, path = "", query = ""] = /^([^?]*)\??(.*)$/s.exec(request.url) ?? []
  const pairs: [string, string][] = [...new URLSearchParams(query)]
  for (const [name, value] of oauth) {
    if (name !== "realm" && name !== "oauth_signature") pairs.push([name, value])
  }
  const parameters = pairs
    .map(([name, value]) => [percentEncode(name), percentEncode(value)] as const)
    .sort(([a, av], [b, bv]) => compare(a, b) || compare(av, bv))
    .map(([name, value]) => `${name}=${value}`)
    .join("&")
  return [request.method.toUpperCase(), baseUri(origin, path), parameters].map(percentEncode).join("&")
}

/** By bytes: percent-encoded text is ASCII. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Whether the request was signed with these secrets. */
export function isSignedWith(
  request: SignedRequest,
  oauth: ReadonlyMap<string, string>,
  secrets: { consumer: string; token: string },
): boolean {
  const method = oauth.get("oauth_signature_method") ?? ""
  const given = oauth.get("oauth_signature")
  if (given === undefined) return false
  const key = `${percentEncode(secrets.consumer)}&${percentEncode(secrets.token)}`
  if (method === "PLAINTEXT") return isEqualText(key, given)
  const hash = hashOf[method]
  if (hash === undefined) return false
  return request.origins.some((origin) => {
    const text = baseString(request, origin, oauth)
    return isEqualText(createHmac(hash, key).update(text, "utf8").digest("base64"), given)
  })
}
