import type { Ctx } from "../../platform/context/context.ts"
import { atLeast, type Microversion } from "../../platform/http/microversion.ts"
import { boundedLimit, pageUrl } from "../../platform/http/paging.ts"
import { queryInteger, queryText } from "../../platform/http/query.ts"
import { versions } from "../../platform/http/versions.ts"
import { type Route, reply, route, type WireRequest } from "../../platform/http/wire.ts"
import { createKeypair, deleteKeypair, type Keypair, listKeypairs, showKeypair } from "../index.ts"
import { checkQueryNames } from "./query-names.ts"

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
    created_at: keypair.createdAt.toISOString().replace("Z", "000"),
    deleted: false,
    deleted_at: null,
    updated_at: null,
  }
}

/** Another user's key pairs are asked for by `user_id` from 2.10 on; policy decides. */
function userOf(ctx: Ctx, req: WireRequest): string {
  const asked = atLeast(req.version, "2.10") ? queryText(req.query, "user_id") : undefined
  return asked ?? ctx.caller.userId
}

const name = { type: "string", minLength: 1, maxLength: 255, pattern: "^(?! )[a-zA-Z0-9 _-]+(?<! )$" }
const newName = { type: "string", minLength: 1, maxLength: 255, pattern: "^(?! )[a-zA-Z0-9@._ -]+(?<! )$" }

const createSchema = (nameSchema: object, more: Record<string, unknown>, required: string[]) => ({
  type: "object",
  properties: {
    keypair: {
      type: "object",
      properties: { name: nameSchema, public_key: { type: "string" }, ...more },
      required,
      additionalProperties: false,
    },
  },
  required: ["keypair"],
  additionalProperties: false,
})

const type = { type: "string", enum: ["ssh", "x509"] }
const userId = { type: "string", minLength: 1, maxLength: 255 }

interface CreateBody {
  keypair: { name: string; public_key?: string; type?: "ssh" | "x509"; user_id?: string }
}

async function create(ctx: Ctx, req: WireRequest<CreateBody>) {
  const body = req.body.keypair
  const made = await createKeypair(ctx, {
    userId: body.user_id ?? ctx.caller.userId,
    name: body.name,
    type: body.type ?? "ssh",
    publicKey: body.public_key ?? null,
  })
  const keypair = {
    ...viewBrief(req.version, made.keypair),
    user_id: made.keypair.userId,
    ...(made.privateKey === null ? {} : { private_key: made.privateKey }),
  }
  return reply(atLeast(req.version, "2.2") ? 201 : 200, { keypair })
}

async function list(ctx: Ctx, req: WireRequest) {
  checkQueryNames(req, ["user_id", "limit", "marker"])
  const isPaged = atLeast(req.version, "2.35")
  const asked = isPaged ? queryInteger(req.query, "limit", { min: 0 }) : undefined
  const limit = boundedLimit(asked, ctx.config.compute.listLimitMost)
  const found = await listKeypairs(ctx, {
    userId: userOf(ctx, req),
    limit,
    marker: isPaged ? (queryText(req.query, "marker") ?? null) : null,
  })
  const last = isPaged && found.length === limit ? found.at(-1) : undefined
  return {
    keypairs: found.map((keypair) => ({ keypair: viewBrief(req.version, keypair) })),
    ...(last
      ? { keypairs_links: [{ rel: "next", href: pageUrl(ctx.baseUrl, req.url, { marker: last.name }) }] }
      : {}),
  }
}

export const keypairRoutes: readonly Route[] = [
  route({ method: "GET", path: "/os-keypairs", operation: listKeypairs, handler: list }),
  route<CreateBody>({
    method: "POST",
    path: "/os-keypairs",
    operation: createKeypair,
    body: versions({
      "2.1": createSchema(name, {}, ["name"]),
      "2.2": createSchema(name, { type }, ["name"]),
      "2.10": createSchema(name, { type, user_id: userId }, ["name"]),
      "2.92": createSchema(newName, { type, user_id: userId }, ["name", "public_key"]),
    }),
    status: [200, 201],
    handler: create,
  }),
  route({
    method: "GET",
    path: "/os-keypairs/{name}",
    operation: showKeypair,
    handler: async (ctx, req) => {
      const keypair = await showKeypair(ctx, { userId: userOf(ctx, req), name: req.params.name ?? "" })
      return { keypair: viewKeypair(req.version, keypair) }
    },
  }),
  route({
    method: "DELETE",
    path: "/os-keypairs/{name}",
    operation: deleteKeypair,
    status: [202, 204],
    handler: async (ctx, req) => {
      await deleteKeypair(ctx, { userId: userOf(ctx, req), name: req.params.name ?? "" })
      return reply(atLeast(req.version, "2.2") ? 204 : 202)
    },
  }),
]
