// Tokens for who signs with an EC2 key instead of sending a password.
import { Type } from "typebox"
import type { Caller } from "../../platform/auth/caller.ts"
import type { Ctx, Platform } from "../../platform/context/context.ts"
import { operation } from "../../platform/operation/operation.ts"
import { type Ec2Key, ec2KeyOf } from "../credential/ec2.ts"
import { ec2CredentialId, findCredential } from "../credential/read.ts"
import { notFound, refused, unauthenticated } from "../faults.ts"
import { parseTime } from "../time.ts"
import type { KnownToken } from "../token/cache.ts"
import { issueToken } from "../token/issue.ts"
import { findLiveTrust } from "../trust/read.ts"
import { type Ec2Request, isEqualText, signEc2Request, signS3Text } from "./ec2-signature.ts"
import { findLoginUser } from "./find-user.ts"

/** Keystone's [credential] auth_ttl: a signed request is good for this long. */
const signatureLifetimeMs = 15 * 60_000

/** The key pair by its access half: for the AWS wires, which check signatures themselves. */
export async function findEc2Key(platform: Platform, access: string): Promise<Ec2Key | null> {
  const credential = await findCredential(platform, ec2CredentialId(access))
  return credential?.type.toLowerCase() === "ec2" ? ec2KeyOf(credential) : null
}

/** A token of the key's user on the key's project; throws `unauthenticated` when that is not to be had. */
export async function issueTokenForEc2Key(platform: Platform, key: Ec2Key): Promise<KnownToken> {
  if (!key.projectId) throw refused("the key has no project")
  const trust = key.trustId ? await findLiveTrust(platform.db, key.trustId, platform.clock.now()) : null
  if (key.trustId && !trust) throw refused("the trust of the key is gone")
  // With impersonation the key is the trustor's, but the token belongs to the trustee.
  const userId = trust?.isImpersonation ? trust.trusteeUserId : key.userId
  const user = await findLoginUser(platform.db, { id: userId })
  if (!user?.is_enabled || !user.is_domain_enabled) throw refused("the user is disabled")
  const trustor = trust ? await findLoginUser(platform.db, { id: trust.trustorUserId }) : null
  return await issueToken(platform, {
    userId: user.id,
    epoch: user.epoch + (trustor?.epoch ?? 0),
    methods: ["ec2credential"],
    scope: { kind: "project", id: key.projectId },
    expiresAtMsMost: trust?.endsAt?.getTime() ?? null,
    parentAuditId: null,
    trustId: key.trustId,
    applicationCredentialId: key.applicationCredentialId,
    accessTokenId: key.accessTokenId,
  })
}

/** Who signs with the key, for the AWS wires. */
export async function callerOfEc2Key(platform: Platform, key: Ec2Key): Promise<Caller> {
  return (await issueTokenForEc2Key(platform, key)).caller
}

interface SignedBy {
  access: string
  signature: string
}

async function findKey(ctx: Ctx, { access }: SignedBy): Promise<Ec2Key> {
  const key = await findEc2Key(ctx, access)
  if (!key) throw notFound("EC2 access key", access)
  return key
}

function checkTime(ctx: Ctx, text: string | undefined): void {
  if (text === undefined) return
  // 20261121T141500Z as well as 2026-11-21T14:15:00Z
  const spelled = text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z")
  const time = parseTime(spelled)
  if (!time) throw refused("the timestamp of the signed request is not a time")
  if (ctx.clock.now().getTime() > time.getTime() + signatureLifetimeMs)
    throw refused("the signed request is too old")
}

const Words = Type.Record(Type.String(), Type.String())

export const issueTokenByEc2Signature = operation({
  name: "identity.token.issue_by_ec2",
  input: Type.Object({
    access: Type.String(),
    signature: Type.String(),
    verb: Type.String(),
    host: Type.String(),
    path: Type.String(),
    params: Words,
    headers: Words,
    bodyHash: Type.String(),
  }),
  faults: [notFound, unauthenticated],
  rule: "identity:ec2tokens_validate",
  run: async (ctx, input): Promise<KnownToken> => {
    const key = await findKey(ctx, input)
    const { signature, ...request } = input
    // Some clients leave the port out of what they sign.
    const hosts = [request.host, request.host.replace(/:\d+$/, "")]
    const isRight = hosts.some((host) => matches(key.secret, { ...request, host }, signature))
    if (!isRight) throw refused("wrong EC2 signature")
    checkTime(ctx, request.params.Timestamp ?? request.headers["X-Amz-Date"] ?? request.params["X-Amz-Date"])
    return await issueTokenForEc2Key(ctx, key)
  },
})

function matches(secret: string, request: Ec2Request, signature: string): boolean {
  const wanted = signEc2Request(secret, request)
  return wanted !== null && isEqualText(wanted, signature)
}

export const issueTokenByS3Signature = operation({
  name: "identity.token.issue_by_s3",
  input: Type.Object({ access: Type.String(), signature: Type.String(), signedText: Type.String() }),
  faults: [notFound, unauthenticated],
  rule: "identity:s3tokens_validate",
  run: async (ctx, input): Promise<KnownToken> => {
    const key = await findKey(ctx, input)
    const wanted = signS3Text(key.secret, input.signedText)
    if (wanted === null || !isEqualText(wanted, input.signature)) throw refused("wrong S3 signature")
    return await issueTokenForEc2Key(ctx, key)
  },
})
