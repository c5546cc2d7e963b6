import { Type } from "typebox"
import { count, flag, from, nothing, one, page, rare, shape, text } from "../../api/openstack/shape.ts"
import { microsText } from "../../platform/clock/iso-time.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { atLeast, type Microversion } from "../../platform/http/microversion.ts"
import { boundedLimit } from "../../platform/http/paging.ts"
import { queryInteger, queryText } from "../../platform/http/query.ts"
import { type BodyOf, versions } from "../../platform/http/versions.ts"
import { type Route, reply, route, type WireRequest } from "../../platform/http/wire.ts"
import { word } from "../../platform/schema/make.ts"
import { createKeypair, deleteKeypair, type Keypair, listKeypairs, showKeypair } from "../index.ts"
import { nextLink } from "./next-link.ts"
import { checkQueryNames, toldQuery } from "./query-names.ts"
import { bodyOf } from "./schema-parts.ts"

function viewBrief(version: Microversion, keypair: Keypair) {
  return {
    name: keypair.name,
    public_key: keypair.publicKey,
    fingerprint: keypair.fingerprint,
    ...(atLeast(version, "2.2") ? { type: keypair.type } : {}),
  }
}

/** Nova keeps the columns of its soft delete in this one view. */
function viewKeypair(version: Microversion, keypair: Keypair) {
  return {
    ...viewBrief(version, keypair),
    user_id: keypair.userId,
    id: keypair.id,
    created_at: microsText(keypair.createdAt),
    deleted: false,
    deleted_at: null,
    updated_at: null,
  }
}

const brief = { name: text, public_key: text, fingerprint: text, type: from("2.2", text) }
const listed = shape("KeypairInList", { keypair: shape("KeypairBrief", brief) })
const made = shape("NewKeypair", { ...brief, user_id: text, private_key: rare(text) })
const shown = shape("Keypair", {
  ...brief,
  ...{ user_id: text, id: count, created_at: text, deleted: flag, deleted_at: nothing, updated_at: nothing },
})

/** Another user's key pairs are asked for by `user_id` from 2.10 on; policy decides. */
function userOf(ctx: Ctx, req: WireRequest): string {
  const asked = atLeast(req.version, "2.10") ? queryText(req.query, "user_id") : undefined
  return asked ?? ctx.caller.userId
}

const nameOf = (characters: string) =>
  Type.String({ minLength: 1, maxLength: 255, pattern: `^(?! )[${characters}]+(?<! )$` })
const public_key = Type.String()
const first = { name: nameOf("a-zA-Z0-9 _-"), public_key }
const since2 = { ...first, type: word(["ssh", "x509"]) }
const since10 = { ...since2, user_id: Type.String({ minLength: 1, maxLength: 255 }) }

const createBody = versions({
  "2.1": bodyOf("keypair", first, ["name"]),
  "2.2": bodyOf("keypair", since2, ["name"]),
  "2.10": bodyOf("keypair", since10, ["name"]),
  "2.92": bodyOf("keypair", { ...since10, name: nameOf("a-zA-Z0-9@._ -") }, ["name", "public_key"]),
})

async function create(ctx: Ctx, req: WireRequest<BodyOf<typeof createBody>>) {
  const body = req.body.keypair
  const made = await createKeypair(ctx, {
    userId: body.user_id ?? ctx.caller.userId,
    name: body.name,
    type: body.type ?? "ssh",
    ...(body.public_key !== undefined && { publicKey: body.public_key }),
  })
  const keypair = {
    ...viewBrief(req.version, made.keypair),
    user_id: made.keypair.userId,
    ...(made.privateKey === null ? {} : { private_key: made.privateKey }),
  }
  return reply(atLeast(req.version, "2.2") ? 201 : 200, { keypair })
}

const listParameters = ["user_id", "limit", "marker"]

async function list(ctx: Ctx, req: WireRequest) {
  checkQueryNames(req, listParameters)
  const isPaged = atLeast(req.version, "2.35")
  const asked = isPaged ? queryInteger(req.query, "limit", { min: 0 }) : undefined
  const limit = boundedLimit(asked, ctx.config.compute.listLimitMost)
  const marker = isPaged ? (queryText(req.query, "marker") ?? null) : null
  const found = await listKeypairs(ctx, { userId: userOf(ctx, req), query: { page: { limit, marker } } })
  return {
    keypairs: found.map((keypair) => ({ keypair: viewBrief(req.version, keypair) })),
    ...nextLink(ctx, req, "keypairs", isPaged && found.length === limit ? found.at(-1)?.name : undefined),
  }
}

export const keypairRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/os-keypairs",
    operation: listKeypairs,
    told: { ...toldQuery(listParameters), ...page("keypairs", listed) },
    handler: list,
  }),
  route({
    method: "POST",
    path: "/os-keypairs",
    operation: createKeypair,
    body: createBody,
    told: one("keypair", made),
    status: [200, 201],
    handler: create,
  }),
  route({
    method: "GET",
    path: "/os-keypairs/{name}",
    operation: showKeypair,
    told: { ...toldQuery(["user_id"]), ...one("keypair", shown) },
    handler: async (ctx, req) => {
      const keypair = await showKeypair(ctx, { userId: userOf(ctx, req), name: req.params.name ?? "" })
      return { keypair: viewKeypair(req.version, keypair) }
    },
  }),
  route({
    method: "DELETE",
    path: "/os-keypairs/{name}",
    operation: deleteKeypair,
    told: toldQuery(["user_id"]),
    status: [202, 204],
    handler: async (ctx, req) => {
      await deleteKeypair(ctx, { userId: userOf(ctx, req), name: req.params.name ?? "" })
      return reply(atLeast(req.version, "2.2") ? 204 : 202)
    },
  }),
]
