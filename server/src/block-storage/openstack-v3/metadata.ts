// Metadata of volumes and snapshots: the same routes for both.
import { one, textMap } from "../../api/openstack/shape.ts"
import type { Ctx } from "../../platform/context/context.ts"
import type { BodyOf } from "../../platform/http/versions.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import type { AnyOperation, Operation } from "../../platform/operation/operation.ts"
import {
  getSnapshot,
  getVolume,
  inputInvalid,
  itemOf,
  metadataKeyNotFound,
  snapshotMetadata,
  volumeMetadata,
} from "../index.ts"
import { bodyWith, metadata } from "./parts.ts"

interface Verbs {
  add: Operation<{ id: string; metadata: Record<string, string> }, Readonly<Record<string, string>>>
  replace: Operation<{ id: string; metadata: Record<string, string> }, Readonly<Record<string, string>>>
  remove: Operation<{ id: string; key: string }, void>
}

interface Owner {
  /** `volumes`, and the parameter of its id. */
  path: string
  parameter: string
  word: string
  get: AnyOperation
  read: (ctx: Ctx, id: string) => Promise<{ metadata: Readonly<Record<string, string>> }>
  verbs: Verbs
}

const body = bodyWith("metadata", metadata)
const itemBody = bodyWith("meta", metadata)

function metadataRoutes({ path, parameter, word, get, read, verbs }: Owner): Route[] {
  const idOf = ({ params }: Pick<WireRequest, "params">) => params[parameter] ?? ""
  const keyOf = ({ params }: Pick<WireRequest, "params">) => params.key ?? ""
  const all = `/${path}/{${parameter}}/metadata`
  const told = one("metadata", textMap)
  const toldItem = one("meta", textMap)
  return [
    route({
      method: "GET",
      path: all,
      operation: get,
      told,
      handler: async (ctx, req) => ({ metadata: (await read(ctx, idOf(req))).metadata }),
    }),
    route({
      method: "POST",
      path: all,
      status: 200,
      body,
      operation: verbs.add,
      told,
      handler: async (ctx, req) => ({
        metadata: await verbs.add(ctx, { id: idOf(req), metadata: req.body.metadata }),
      }),
    }),
    route({
      method: "PUT",
      path: all,
      body,
      operation: verbs.replace,
      told,
      handler: async (ctx, req) => ({
        metadata: await verbs.replace(ctx, { id: idOf(req), metadata: req.body.metadata }),
      }),
    }),
    route({
      method: "GET",
      path: `${all}/{key}`,
      operation: get,
      told: toldItem,
      handler: async (ctx, req) => {
        const key = keyOf(req)
        const value = itemOf((await read(ctx, idOf(req))).metadata, key)
        if (value === undefined) throw metadataKeyNotFound(word, idOf(req), key)
        return { meta: { [key]: value } }
      },
    }),
    route({
      method: "PUT",
      path: `${all}/{key}`,
      body: itemBody,
      operation: verbs.add,
      told: toldItem,
      handler: async (ctx, req: WireRequest<BodyOf<typeof itemBody>>) => {
        const [key, { meta }] = [keyOf(req), req.body]
        const value = itemOf(meta, key)
        if (value === undefined || Object.keys(meta).length !== 1)
          throw inputInvalid("Request body and URI mismatch: meta is one item, with the key of the path.")
        await verbs.add(ctx, { id: idOf(req), metadata: { [key]: value } })
        return { meta: { [key]: value } }
      },
    }),
    route({
      method: "DELETE",
      path: `${all}/{key}`,
      status: 200,
      operation: verbs.remove,
      handler: async (ctx, req) => await verbs.remove(ctx, { id: idOf(req), key: keyOf(req) }),
    }),
  ]
}

export const metadataOfAll: readonly Route[] = [
  ...metadataRoutes({
    path: "volumes",
    parameter: "volume_id",
    word: "Volume",
    get: getVolume,
    read: (ctx, id) => getVolume(ctx, { id }),
    verbs: volumeMetadata,
  }),
  ...metadataRoutes({
    path: "snapshots",
    parameter: "snapshot_id",
    word: "Snapshot",
    get: getSnapshot,
    read: (ctx, id) => getSnapshot(ctx, { id }),
    verbs: snapshotMetadata,
  }),
]
