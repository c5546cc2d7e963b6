// Key pairs belong to users, not to projects.
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { transact, violatedConstraint } from "../../platform/db/database.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { operation } from "../../platform/operation/operation.ts"
import { enforceQuota } from "../../quota/index.ts"
import type {} from "../flavor/tables.ts"
import { computeQuota } from "../quota/resources.ts"
import { keypairExists, keypairInvalid, keypairNotFound } from "./faults.ts"
import { generateSshKeypair, sshFingerprint, x509Fingerprint } from "./public-key.ts"
import { generateCertificate } from "./x509/certificate.ts"

export interface Keypair {
  id: number
  userId: string
  name: string
  type: "ssh" | "x509"
  publicKey: string
  fingerprint: string
  createdAt: Date
}

interface KeypairRow {
  id: number
  user_id: string
  name: string
  type: string
  public_key: string
  fingerprint: string
  created_at: Date
}

function keypairOf(row: KeypairRow): Keypair {
  return {
    id: row.id,
    userId: row.user_id,
    name: row.name,
    type: row.type === "x509" ? "x509" : "ssh",
    publicKey: row.public_key,
    fingerprint: row.fingerprint,
    createdAt: row.created_at,
  }
}

export async function findKeypair(ctx: Ctx, key: { userId: string; name: string }): Promise<Keypair> {
  const row = await ctx.db
    .selectFrom("compute.keypair")
    .selectAll()
    .where("user_id", "=", key.userId)
    .where("name", "=", key.name)
    .executeTakeFirst()
  if (!row) throw keypairNotFound(key.name, key.userId)
  return keypairOf(row)
}

const KeyInput = Type.Object({ userId: Type.String(), name: Type.String() })

async function generatePair(
  ctx: Ctx,
  of: { userId: string; type: "ssh" | "x509" },
): Promise<{ publicKey: string; privateKey: string }> {
  if (of.type === "ssh") return await generateSshKeypair("Generated-by-Nova")
  const { certificate, privateKey } = await generateCertificate(of.userId, ctx.clock.now())
  return { publicKey: certificate, privateKey }
}

export const createKeypair = operation({
  name: "compute.keypair.create",
  input: Type.Object({
    userId: Type.String(),
    name: Type.String({ minLength: 1, maxLength: 255 }),
    type: Type.Union([Type.Literal("ssh"), Type.Literal("x509")]),
    publicKey: Type.Union([Type.String({ maxLength: 65_535 }), Type.Null()]),
  }),
  faults: [keypairExists, keypairInvalid],
  rule: "os_compute_api:os-keypairs:create",
  target: (_ctx, input) => ({ user_id: input.userId }),
  run: async (ctx, input): Promise<{ keypair: Keypair; privateKey: string | null }> => {
    // Before the transaction: making an RSA pair takes tens of milliseconds.
    const made = input.publicKey === null ? await generatePair(ctx, input) : null
    const publicKey = input.publicKey ?? made?.publicKey ?? ""
    const fingerprint = input.type === "ssh" ? sshFingerprint(publicKey) : x509Fingerprint(publicKey)
    try {
      return await transact(ctx.db, async (tx) => {
        const owner = { projectId: ctx.caller.projectId ?? "", userId: input.userId }
        const add = { key_pairs: { add: 1, of: input.userId } }
        await enforceQuota(ctx, tx, computeQuota, { ...owner, add })
        const row = await tx
          .insertInto("compute.keypair")
          .values({
            user_id: input.userId,
            name: input.name,
            type: input.type,
            public_key: publicKey,
            fingerprint,
            created_at: ctx.clock.now(),
          })
          .returningAll()
          .executeTakeFirstOrThrow()
        return { keypair: keypairOf(row), privateKey: made?.privateKey ?? null }
      })
    } catch (error) {
      if (violatedConstraint(error) === "keypair_user_name_key") throw keypairExists(input.name)
      throw error
    }
  },
})

export const listKeypairs = operation({
  name: "compute.keypair.list",
  input: Type.Object({
    userId: Type.String(),
    limit: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()]),
    marker: Type.Union([Type.String(), Type.Null()]),
  }),
  rule: "os_compute_api:os-keypairs:index",
  target: (_ctx, input) => ({ user_id: input.userId }),
  run: async (ctx, input): Promise<Keypair[]> => {
    let query = ctx.db
      .selectFrom("compute.keypair")
      .selectAll()
      .where("user_id", "=", input.userId)
      .orderBy("name")
    if (input.marker !== null) {
      const marker = await ctx.db
        .selectFrom("compute.keypair")
        .select("name")
        .where("user_id", "=", input.userId)
        .where("name", "=", input.marker)
        .executeTakeFirst()
      if (!marker) throw invalid("marker", `Marker ${input.marker} could not be found.`)
      query = query.where("name", ">", marker.name)
    }
    if (input.limit !== null) query = query.limit(input.limit)
    return (await query.execute()).map(keypairOf)
  },
})

export const showKeypair = operation({
  name: "compute.keypair.get",
  input: KeyInput,
  faults: [keypairNotFound],
  rule: "os_compute_api:os-keypairs:show",
  target: (_ctx, input) => ({ user_id: input.userId }),
  run: async (ctx, input) => await findKeypair(ctx, input),
})

export const deleteKeypair = operation({
  name: "compute.keypair.delete",
  input: KeyInput,
  faults: [keypairNotFound],
  rule: "os_compute_api:os-keypairs:delete",
  target: (_ctx, input) => ({ user_id: input.userId }),
  run: async (ctx, input) => {
    const gone = await ctx.db
      .deleteFrom("compute.keypair")
      .where("user_id", "=", input.userId)
      .where("name", "=", input.name)
      .executeTakeFirst()
    if (gone.numDeletedRows === 0n) throw keypairNotFound(input.name, input.userId)
  },
})
