// AWS signatures over what a client sent, versions 2 and 4, and the S3 forms that sign a ready-made text.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
import { createHash, createHmac, timingSafeEqual } from "node:crypto"

export interface Ec2Request {
  verb: string
  host: string
  path: string
  params: Readonly<Record<string, string>>
  headers: Readonly<Record<string, string>>
  /** SHA-256 of the body in hex; for version 4. */
  bodyHash: string
}

export function isEqualText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}

/** The signature that the owner of the secret would have made; null when the request has no form that we know. */
export function signEc2Request(secret: string, request: Ec2Request): string | null {
  if (request.params.SignatureVersion === "2") return signV2(secret, request)
  const authorization = headerOf(request, "authorization")
  if (
    authorization?.startsWith("AWS4-HMAC-SHA256") ||
    request.params["X-Amz-Algorithm"] === "AWS4-HMAC-SHA256"
  )
    return signV4(secret, request, authorization)
  return null
}

function headerOf(request: Ec2Request, name: string): string | undefined {
  return Object.entries(request.headers).find(([key]) => key.toLowerCase() === name)?.[1]
}

/** RFC 3986, stricter than encodeURIComponent. */
function percentEncode(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

function canonicalQuery(params: Readonly<Record<string, string>>): string {
  return Object.keys(params)
    .sort()
    .map((key) => `${percentEncode(key)}=${percentEncode(String(params[key]))}`)
    .join("&")
}

function signV2(secret: string, { verb, host, path, params }: Ec2Request): string {
  const isSha1 = params.SignatureMethod === "HmacSHA1"
  const query = canonicalQuery({ ...params, SignatureMethod: isSha1 ? "HmacSHA1" : "HmacSHA256" })
  const text = `${verb}\n${host}\n${path}\n${query}`
  return createHmac(isSha1 ? "sha1" : "sha256", secret)
    .update(text, "utf8")
    .digest("base64")
}

function signV4(secret: string, request: Ec2Request, authorization: string | undefined): string | null {
  const part = (name: string) =>
    authorization === undefined
      ? request.params[`X-Amz-${name}`]
      : new RegExp(`${name}=([^,]*)`).exec(authorization)?.[1]?.trim()
  const signedHeaders = part("SignedHeaders")
  const credential = part("Credential")
  const date = headerOf(request, "x-amz-date") ?? request.params["X-Amz-Date"]
  if (!signedHeaders || !credential || !date) return null
  const [, day = "", region = "", service = "", end] = credential.split("/")
  if (!date.startsWith(day) || day === "" || end !== "aws4_request") return null
  const headers = signedHeaders
    .split(";")
    .map((name) => `${name}:${headerOf(request, name)?.trim() ?? ""}\n`)
    .join("")
  const { "X-Amz-Signature": _own, ...params } = request.params
  const canonical = [
    request.verb.toUpperCase(),
    request.path,
    request.verb.toUpperCase() === "POST" ? "" : canonicalQuery(params),
    headers,
    signedHeaders,
    request.bodyHash,
  ].join("\n")
  const hash = createHash("sha256").update(canonical, "utf8").digest("hex")
  const text = `AWS4-HMAC-SHA256\n${date}\n${day}/${region}/${service}/aws4_request\n${hash}`
  return createHmac("sha256", v4Key(secret, day, region, service))
    .update(text, "utf8")
    .digest("hex")
}

export function v4Key(secret: string, day: string, region: string, service: string): Buffer {
  const step = (key: Buffer | string, text: string) => createHmac("sha256", key).update(text, "utf8").digest()
  return step(step(step(step(`AWS4${secret}`, day), region), service), "aws4_request")
}

const s3Services = new Set(["s3", "iam", "sts"])

/** Of the text that S3 middleware took from a request; null when it is no version 4 of a service that may use it. */
export function signS3Text(secret: string, text: string): string | null {
  if (!text.startsWith("AWS4")) return createHmac("sha1", secret).update(text, "utf8").digest("base64")
  const lines = text.split("\n")
  const [day = "", region = "", service = "", end, ...rest] = (lines[2] ?? "").split("/")
  const isKnown = lines.length === 4 && lines[0] === "AWS4-HMAC-SHA256" && end === "aws4_request"
  if (!isKnown || rest.length > 0 || !s3Services.has(service)) return null
  return createHmac("sha256", v4Key(secret, day, region, service))
    .update(text, "utf8")
    .digest("hex")
}
