import { Type } from "typebox"
import { queryText } from "../../platform/http/query.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { closed, word } from "../../platform/schema/make.ts"
import { badRequest, createAssistedSnapshot, deleteAssistedSnapshot } from "../index.ts"
import { checkQueryNames, toldQuery } from "./query-names.ts"
import { bodyOf } from "./schema-parts.ts"

const some = Type.String({ minLength: 1 })
const info = closed({ snapshot_id: some, type: word(["qcow2"]), new_file: some, id: some }, [
  "snapshot_id",
  "type",
  "new_file",
])

const parameters = ["delete_info"]

/** JSON in the query. */
function volumeOf(req: WireRequest): string {
  checkQueryNames(req, parameters)
  let read: unknown
  try {
    read = JSON.parse(queryText(req.query, "delete_info") ?? "")
  } catch {
    throw badRequest("delete_info must be a JSON object with a volume_id.")
  }
  const volumeId = typeof read === "object" && read !== null && "volume_id" in read ? read.volume_id : null
  if (typeof volumeId !== "string") throw badRequest("delete_info must be a JSON object with a volume_id.")
  return volumeId
}

export const assistedSnapshotRoutes: readonly Route[] = [
  route({
    method: "POST",
    path: "/os-assisted-volume-snapshots",
    operation: createAssistedSnapshot,
    body: bodyOf("snapshot", { volume_id: some, create_info: info }, ["volume_id", "create_info"]),
    handler: (ctx, req) => createAssistedSnapshot(ctx, { volumeId: req.body.snapshot.volume_id }),
  }),
  route({
    method: "DELETE",
    path: "/os-assisted-volume-snapshots/{snapshot_id}",
    operation: deleteAssistedSnapshot,
    told: toldQuery(parameters),
    handler: (ctx, req) => deleteAssistedSnapshot(ctx, { volumeId: volumeOf(req) }),
  }),
]
