// Key pairs belong to users, not to projects.
import { sql } from "kysely"
import { type Static, Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { transact } from "../../platform/db/database.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { columnsOf, integer, text, time, word } from "../../platform/noun/field.ts"
import { findThing, insertThing, ListQuery, listThings } from "../../platform/noun/list.ts"
import { noun, type Thing } from "../../platform/noun/noun.ts"
import { operation } from "../../platform/operation/operation.ts"
import { enforceQuota } from "../../quota/index.ts"
import { computeQuota } from "../quota/resources.ts"
import type {} from "../tables.ts"
import { ownRows } from "../viewer.ts"
import { keypairExists, keypairInvalid, keypairNotFound } from "./faults.ts"
import { generateSshKeypair, sshFingerprint, x509Fingerprint } from "./public-key.ts"
import { generateCertificate } from "./x509/certificate.ts"

/** Whose key pairs. Who may look at them the rules decide. */
interface KeypairOwner {
  userId: string
}

const Name = Type.String({ minLength: 1, maxLength: 255 })

export const keypairNoun = noun({
  name: "compute.keypair",
  table: sql`compute.keypair`,
  alias: "k",
  key: "name",
  order: [{ key: "name", direction: "asc" }],
  fields: {
    id: integer(sql`k.id`),
    userId: text(sql`k.user_id`, { create: "required" }),
    name: text(sql`k.name`, { create: "required", input: Name }),
    type: word(["ssh", "x509"], sql`k.type`, { create: "required" }),
    /** Without one a pair is made. */
    publicKey: text(sql`k.public_key`, { max: 65_535, create: true }),
    fingerprint: text(sql`k.fingerprint`),
    createdAt: time(sql`k.created_at`),
  },
  visible: ({ userId }: KeypairOwner) => ownRows(sql`k.user_id`, userId),
  notFound: keypairNotFound,
  markerNotFound: (name) => invalid("marker", `Marker ${name} could not be found.`),
})

export type Keypair = Thing<typeof keypairNoun>

const KeyInput = Type.Object({ userId: Type.String(), name: Type.String() })

export async function findKeypair(ctx: Ctx, key: Static<typeof KeyInput>): Promise<Keypair> {
  const found = await findThing(ctx.db, keypairNoun, key, key.name)
  if (!found) throw keypairNotFound(key.name, key.userId)
  return found
}

async function generatePair(
  ctx: Ctx,
  of: Pick<Keypair, "userId" | "type">,
): Promise<{ publicKey: string; privateKey: string }> {
  if (of.type === "ssh") return await generateSshKeypair("Generated-by-Nova")
  const { certificate, privateKey } = await generateCertificate(of.userId, ctx.clock.now())
  return { publicKey: certificate, privateKey }
}

export const createKeypair = operation({
  name: "compute.keypair.create",
  input: keypairNoun.create,
  faults: [keypairExists, keypairInvalid],
  rule: "os_compute_api:os-keypairs:create",
  target: (_ctx, input) => ({ user_id: input.userId }),
  run: async (ctx, input): Promise<{ keypair: Keypair; privateKey: string | null }> => {
    const { userId, name, type } = input
    // Before the transaction: making an RSA pair takes tens of milliseconds.
    const made = input.publicKey === undefined ? await generatePair(ctx, input) : null
    const publicKey = input.publicKey ?? made?.publicKey ?? ""
    const fingerprint = type === "ssh" ? sshFingerprint(publicKey) : x509Fingerprint(publicKey)
    const values = columnsOf({ userId, name, type, publicKey, fingerprint })
    return await transact(ctx.db, async (tx) => {
      const add = { key_pairs: { add: 1, of: userId } }
      await enforceQuota(ctx, tx, computeQuota, { projectId: ctx.caller.projectId ?? "", userId, add })
      const keypair = await insertThing(tx, keypairNoun, input, { values })
      if (!keypair) throw keypairExists(name)
      return { keypair, privateKey: made?.privateKey ?? null }
    })
  },
})

export const listKeypairs = operation({
  name: "compute.keypair.list",
  input: Type.Object({ userId: Type.String(), query: ListQuery }),
  rule: "os_compute_api:os-keypairs:index",
  target: (_ctx, input) => ({ user_id: input.userId }),
  run: (ctx, { userId, query }) => listThings(ctx.db, keypairNoun, { userId }, query),
})

export const showKeypair = operation({
  name: "compute.keypair.get",
  input: KeyInput,
  faults: [keypairNotFound],
  rule: "os_compute_api:os-keypairs:show",
  target: (_ctx, input) => ({ user_id: input.userId }),
  run: (ctx, input) => findKeypair(ctx, input),
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
