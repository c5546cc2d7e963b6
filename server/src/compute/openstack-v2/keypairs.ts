import { Type } from "typebox"
import { flag, nothing, one, page, rare, shape, text } from "../../api/openstack/shape.ts"
import { named, since, view } from "../../api/openstack/view.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { atLeast } from "../../platform/http/microversion.ts"
import { queryText } from "../../platform/http/query.ts"
import { type BodyOf, versions } from "../../platform/http/versions.ts"
import { type Route, reply, route, type WireRequest } from "../../platform/http/wire.ts"
import { word } from "../../platform/schema/make.ts"
import {
  createKeypair,
  deleteKeypair,
  type Keypair,
  keypairNoun,
  listKeypairs,
  showKeypair,
} from "../index.ts"
import { nextLink, readMarked } from "./next-link.ts"
import { checkQueryNames, toldQuery } from "./query-names.ts"
import { bodyOf } from "./schema-parts.ts"

const { fields } = keypairNoun
const brief = {
  ...named(fields, { name: "name", public_key: "publicKey", fingerprint: "fingerprint" }),
  ...since("2.2", named(fields, { type: "type" })),
}
const briefKeypair = view<Keypair>("KeypairBrief", brief)
const listed = shape("KeypairInList", { keypair: briefKeypair.shows })
const owned = { ...brief, ...named(fields, { user_id: "userId" }) }
const newKeypair = view<Keypair & { privateKey: string | null }>("NewKeypair", {
  ...owned,
  private_key: [rare(text), ({ privateKey }) => privateKey ?? undefined],
})
/** Nova keeps the columns of its soft delete in this one view. */
const shownKeypair = view<Keypair>("Keypair", {
  ...owned,
  ...named(fields, { id: "id", created_at: "createdAt" }),
  ...{ deleted: [flag, () => false], deleted_at: [nothing, () => null], updated_at: [nothing, () => null] },
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
  const keypair = newKeypair.show(ctx, req, { ...made.keypair, privateKey: made.privateKey })
  return reply(atLeast(req.version, "2.2") ? 201 : 200, { keypair })
}

const listParameters = ["user_id", "limit", "marker"]

async function list(ctx: Ctx, req: WireRequest) {
  checkQueryNames(req, listParameters)
  const isPaged = atLeast(req.version, "2.35")
  const page = readMarked(ctx, req, isPaged)
  const found = await listKeypairs(ctx, { userId: userOf(ctx, req), query: { page } })
  return {
    keypairs: found.map((keypair) => ({ keypair: briefKeypair.show(ctx, req, keypair) })),
    ...nextLink(
      ctx,
      req,
      "keypairs",
      isPaged && found.length === page.limit ? found.at(-1)?.name : undefined,
    ),
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
    told: one("keypair", newKeypair.shows),
    status: [200, 201],
    handler: create,
  }),
  route({
    method: "GET",
    path: "/os-keypairs/{name}",
    operation: showKeypair,
    told: { ...toldQuery(["user_id"]), ...one("keypair", shownKeypair.shows) },
    handler: async (ctx, req) => {
      const keypair = await showKeypair(ctx, { userId: userOf(ctx, req), name: req.params.name ?? "" })
      return { keypair: shownKeypair.show(ctx, req, keypair) }
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
