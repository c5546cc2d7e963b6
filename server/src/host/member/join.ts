// A host joins with a token, and has its certificate renewed as long as it is a member.
import { createHash, X509Certificate } from "node:crypto"
import { isIPv4 } from "node:net"
import type { CertificateAnswer, JoinAnswer, JoinRequest } from "../../agent/door-protocol.ts"
import { fingerprintOf, signRequest } from "../../platform/authority/authority.ts"
import type { Platform } from "../../platform/context/context.ts"
import { type Tx, transact, violatedConstraint } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { isLoopback } from "../../platform/net/address.ts"
import type { HostAuthority } from "../authority.ts"
import {
  hostAddressKind,
  hostAddressTaken,
  hostClockWrong,
  hostNameTaken,
  hostUnknown,
  joinTokenUnusable,
  requestUnusable,
} from "../faults.ts"
import { checkJoinToken, consumeJoinToken, type TokenUse } from "../token/join-token.ts"
import type { Member } from "./member.ts"

export interface Joining {
  authority: HostAuthority
  /** Whether the name is a host's already that never joined: the cloud's own first one. */
  isTaken: (name: string) => Promise<boolean>
  /** Where the host's connection comes from. */
  from: string
  /** The cloud's own first host's. */
  ownAddress: string
  /** Whether the network reaches over hosts: by IPv4. */
  hasTunnels: boolean
}

/** A host's clock may be wrong by so much; certificates are judged by it. */
const clockOffMostMs = 5 * 60_000

/** Repeatable by the same host with the same key: it gets another certificate. */
export async function joinHost(platform: Platform, asked: JoinRequest, how: Joining): Promise<JoinAnswer> {
  const { name, token: secret } = asked
  const { address, isControl = false } = asked
  const now = platform.clock.now()
  const use: TokenUse = { secret, hostName: name, address, from: how.from, isControl, now }
  // Before the work of signing: who has no token costs us one look.
  await checkJoinToken(platform.db, use)
  const offMs = Date.parse(asked.at) - use.now.getTime()
  if (Math.abs(offMs) > clockOffMostMs) throw hostClockWrong(offMs)
  if (how.hasTunnels && !isIPv4(address)) throw hostAddressKind(address)
  if (address === how.ownAddress && !isLoopback(address)) throw hostAddressTaken(address)
  const signed = await signFor(platform, how.authority, name, asked.request)
  // Before the transaction: it takes a connection of its own, and joins that wait for one another's would stand still.
  const isTaken = await how.isTaken(name)
  const id = await transact(platform.db, async (tx) => {
    const { isAgain } = await consumeJoinToken(tx, use, signed.key)
    return await keepMember(tx, asked, signed, { isAgain, isTaken })
  }).catch((error: unknown) => {
    throw violatedConstraint(error) === "member_address" ? hostAddressTaken(address) : error
  })
  platform.log.info({ host: name, address }, "a host has joined")
  return { id, name, certificate: signed.certificate, authority: how.authority.certificate }
}

interface Signed {
  certificate: string
  fingerprint: string
  expiresAt: Date
  /** sha256 of the public key. */
  key: Buffer
}

async function keepMember(
  tx: Tx,
  asked: Pick<JoinRequest, "name" | "address" | "isControl">,
  signed: Signed,
  { isAgain, isTaken }: { isAgain: boolean; isTaken: boolean },
): Promise<string> {
  const prior = await tx
    .selectFrom("host.member")
    .select(["id", "public_key_hash"])
    .where("name", "=", asked.name)
    .where("removed_at", "is", null)
    .forUpdate()
    .executeTakeFirst()
  const facts = {
    address: asked.address,
    fingerprint: signed.fingerprint,
    certificate_expires_at: signed.expiresAt,
    is_control: asked.isControl ?? false,
  }
  if (prior) {
    if (!prior.public_key_hash.equals(signed.key)) throw hostNameTaken(asked.name)
    await tx.updateTable("host.member").set(facts).where("id", "=", prior.id).execute()
    return prior.id
  }
  // Its host was removed, or would be a second one under another name.
  if (isAgain) throw joinTokenUnusable()
  if (isTaken) throw hostNameTaken(asked.name)
  const id = newUuid()
  const kept = await tx
    .insertInto("host.member")
    .values({ id, name: asked.name, public_key_hash: signed.key, ...facts })
    .onConflict((conflict) => conflict.column("name").where("removed_at", "is", null).doNothing())
    .executeTakeFirst()
  // Another one took the name since we looked.
  if (kept.numInsertedOrUpdatedRows !== 1n) throw hostNameTaken(asked.name)
  return id
}

/**
 * The control plane's own host among the members, as it will be one of them when another one works. Repeatable, also
 * with another key: nobody else has this process.
 */
export async function admitOwnHost(
  platform: Platform,
  own: { name: string; address: string; request: string },
  authority: HostAuthority,
): Promise<JoinAnswer> {
  const { name, address } = own
  const signed = await signFor(platform, authority, name, own.request)
  const id = await transact(platform.db, async (tx) => {
    const key = { public_key_hash: signed.key }
    await tx
      .updateTable("host.member")
      .set(key)
      .where("name", "=", name)
      .where("removed_at", "is", null)
      .execute()
    const asked = { name, address, isControl: true }
    return await keepMember(tx, asked, signed, { isAgain: false, isTaken: false })
  })
  return { id, name, certificate: signed.certificate, authority: authority.certificate }
}

/** The one before is taken until the next renewal: the host may not have heard of the new one. */
export async function renewCertificate(
  platform: Platform,
  member: Member,
  request: string,
  authority: HostAuthority,
): Promise<CertificateAnswer> {
  const signed = await signFor(platform, authority, member.name, request)
  const renewed = await platform.db
    .updateTable("host.member")
    .set((row) => ({
      previous_fingerprint: row.ref("fingerprint"),
      fingerprint: signed.fingerprint,
      public_key_hash: signed.key,
      certificate_expires_at: signed.expiresAt,
    }))
    .where("id", "=", member.id)
    .where("removed_at", "is", null)
    .executeTakeFirst()
  if (renewed.numUpdatedRows === 0n) throw hostUnknown()
  return { certificate: signed.certificate, authority: authority.certificate }
}

const pemMost = 10_000

async function signFor(
  platform: Platform,
  authority: HostAuthority,
  name: string,
  request: string,
): Promise<Signed> {
  if (request.length > pemMost || !request.includes("BEGIN CERTIFICATE REQUEST")) throw requestUnusable()
  const certificate = await signRequest(request, authority.files, {
    commonName: name,
    names: [`${name}.host.kumoi`],
    // Not a server's: Open vSwitch looks at no name, so a host's certificate must not pass for the cloud's.
    usages: ["clientAuth"],
    days: platform.config.hosts.certificateDays,
  }).catch((cause: unknown) => {
    throw Object.assign(requestUnusable(), { cause })
  })
  const cert = new X509Certificate(certificate)
  const key = createHash("sha256")
    .update(cert.publicKey.export({ type: "spki", format: "der" }))
    .digest()
  return { certificate, fingerprint: fingerprintOf(cert), expiresAt: new Date(cert.validTo), key }
}
