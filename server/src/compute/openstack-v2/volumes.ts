// Nova's old way to volumes and snapshots, until 2.35: block storage's, in Nova's shape.
import { Type } from "typebox"
import { all, count, one, shape, text, textMap, textOrNull } from "../../api/openstack/shape.ts"
import {
  createSnapshot,
  createVolume,
  deleteSnapshot,
  deleteVolume,
  getSnapshot,
  getVolume,
  listSnapshots,
  listVolumes,
  type Snapshot,
  type Volume,
} from "../../block-storage/index.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { boundedLimit } from "../../platform/http/paging.ts"
import { queryInteger } from "../../platform/http/query.ts"
import type { BodyOf } from "../../platform/http/versions.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { object, typed } from "../../platform/schema/make.ts"
import { badRequest } from "../index.ts"
import { toldQuery } from "./query-names.ts"
import { bodyWith, boolean, readBoolean } from "./schema-parts.ts"

const last = "2.35"
const textOrNothing = typed(["string", "null"], { maxLength: 255 })

const attachment = Type.Object({
  id: Type.Optional(text),
  volumeId: Type.Optional(text),
  serverId: Type.Optional(text),
  device: Type.Optional(text),
})
const volume = shape("OldVolume", {
  ...{ id: text, status: text, size: count, availabilityZone: text, createdAt: text },
  ...{
    displayName: textOrNull,
    displayDescription: textOrNull,
    volumeType: textOrNull,
    snapshotId: textOrNull,
  },
  metadata: textMap,
  attachments: Type.Array(attachment),
})

function viewVolume(of: Volume) {
  const [held] = of.attachments
  return {
    id: of.id,
    status: of.status,
    size: of.sizeGib,
    availabilityZone: of.availabilityZone,
    createdAt: of.createdAt.toISOString(),
    displayName: of.name,
    displayDescription: of.description,
    volumeType: of.volumeTypeName,
    snapshotId: of.snapshotId,
    metadata: of.metadata,
    attachments: [
      held?.serverId
        ? {
            id: of.id,
            volumeId: of.id,
            serverId: held.serverId,
            ...(held.device ? { device: held.device } : {}),
          }
        : {},
    ],
  }
}

const snapshot = shape("OldSnapshot", {
  ...{ id: text, volumeId: text, status: text, size: count, createdAt: text },
  ...{ displayName: textOrNull, displayDescription: textOrNull },
})

const viewSnapshot = (of: Snapshot) => ({
  id: of.id,
  volumeId: of.volumeId,
  status: of.status,
  size: of.sizeGib,
  createdAt: of.createdAt.toISOString(),
  displayName: of.name,
  displayDescription: of.description,
})

const pageParameters = ["limit", "offset"]

function readPage(ctx: Ctx, { query }: WireRequest) {
  const limit = boundedLimit(queryInteger(query, "limit", { min: 0 }), ctx.config.compute.listLimitMost)
  const offset = queryInteger(query, "offset", { min: 0 }) ?? 0
  return { isOfAllProjects: false, query: { page: { limit } }, offset }
}

const createVolumeBody = bodyWith(
  "volume",
  object(
    {
      display_name: textOrNothing,
      display_description: textOrNothing,
      volume_type: textOrNothing,
      snapshot_id: textOrNothing,
      availability_zone: textOrNothing,
      metadata: typed(["object", "null"], { additionalProperties: { type: "string", maxLength: 255 } }),
      size: typed(["integer", "string"], { pattern: "^[0-9]+$", minLength: 1, minimum: 1 }),
    },
    ["size"],
  ),
)

async function create(ctx: Ctx, req: WireRequest<BodyOf<typeof createVolumeBody>>) {
  const body = req.body.volume
  const sizeGib = Number(body.size)
  if (sizeGib < 1) throw badRequest("Invalid input for field/attribute size: a size is 1 or more, in GiB.")
  const made = await createVolume(ctx, {
    name: body.display_name ?? null,
    description: body.display_description ?? null,
    sizeGib,
    volumeType: body.volume_type || null,
    snapshotId: body.snapshot_id || null,
    availabilityZone: body.availability_zone || null,
    // The schema admits texts only.
    metadata: (body.metadata ?? {}) as Record<string, string>,
    imageId: null,
    sourceVolumeId: null,
  })
  return { volume: viewVolume(made) }
}

const createSnapshotBody = bodyWith(
  "snapshot",
  object(
    {
      volume_id: Type.String({ maxLength: 255 }),
      display_name: textOrNothing,
      display_description: textOrNothing,
      force: boolean,
    },
    ["volume_id"],
  ),
)

async function take(ctx: Ctx, req: WireRequest<BodyOf<typeof createSnapshotBody>>) {
  const body = req.body.snapshot
  const made = await createSnapshot(ctx, {
    volumeId: body.volume_id,
    name: body.display_name ?? null,
    description: body.display_description ?? null,
    metadata: {},
    mayBeInUse: readBoolean(body.force),
  })
  return { snapshot: viewSnapshot(made) }
}

const volumeIdOf = ({ params }: Pick<WireRequest, "params">) => params.volume_id ?? ""
const snapshotIdOf = ({ params }: Pick<WireRequest, "params">) => params.snapshot_id ?? ""

const lists = (["", "/detail"] as const).flatMap((ending) => [
  route({
    method: "GET",
    path: `/os-volumes${ending}`,
    max: last,
    operation: listVolumes,
    told: { ...toldQuery(pageParameters), ...all("volumes", volume) },
    handler: async (ctx, req) => ({
      volumes: (await listVolumes(ctx, readPage(ctx, req))).items.map(viewVolume),
    }),
  }),
  route({
    method: "GET",
    path: `/os-snapshots${ending}`,
    max: last,
    operation: listSnapshots,
    told: { ...toldQuery(pageParameters), ...all("snapshots", snapshot) },
    handler: async (ctx, req) => ({
      snapshots: (await listSnapshots(ctx, readPage(ctx, req))).items.map(viewSnapshot),
    }),
  }),
])

export const oldVolumeRoutes: readonly Route[] = [
  ...lists,
  route({
    method: "POST",
    path: "/os-volumes",
    max: last,
    body: createVolumeBody,
    operation: createVolume,
    told: one("volume", volume),
    handler: create,
  }),
  route({
    method: "GET",
    path: "/os-volumes/{volume_id}",
    max: last,
    operation: getVolume,
    told: one("volume", volume),
    handler: async (ctx, req) => ({ volume: viewVolume(await getVolume(ctx, { id: volumeIdOf(req) })) }),
  }),
  route({
    method: "DELETE",
    path: "/os-volumes/{volume_id}",
    max: last,
    status: 202,
    operation: deleteVolume,
    handler: (ctx, req) => deleteVolume(ctx, { id: volumeIdOf(req), isCascading: false, isForced: false }),
  }),
  route({
    method: "POST",
    path: "/os-snapshots",
    max: last,
    body: createSnapshotBody,
    operation: createSnapshot,
    told: one("snapshot", snapshot),
    handler: take,
  }),
  route({
    method: "GET",
    path: "/os-snapshots/{snapshot_id}",
    max: last,
    operation: getSnapshot,
    told: one("snapshot", snapshot),
    handler: async (ctx, req) => ({
      snapshot: viewSnapshot(await getSnapshot(ctx, { id: snapshotIdOf(req) })),
    }),
  }),
  route({
    method: "DELETE",
    path: "/os-snapshots/{snapshot_id}",
    max: last,
    status: 202,
    operation: deleteSnapshot,
    handler: (ctx, req) => deleteSnapshot(ctx, { id: snapshotIdOf(req), isForced: false }),
  }),
]
