import { count, from, one, shape, texts } from "../../api/openstack/shape.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { queryBoolean } from "../../platform/http/query.ts"
import type { BodyOf } from "../../platform/http/versions.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { querySchema } from "../../platform/noun/query-schema.ts"
import { closed, keyed, mapOf, object, typed } from "../../platform/schema/make.ts"
import {
  countVolumes,
  createVolume,
  deleteVolume,
  getVolume,
  inputInvalid,
  listVolumes,
  summarizeVolumes,
  updateVolume,
} from "../index.ts"
import { countedPage, countOf, toldCount } from "./counted.ts"
import { volumeRules as rules } from "./list-rules.ts"
import {
  bodyWith,
  boolean,
  metadata,
  nameOrNull,
  nextLink,
  readBoolean,
  readList,
  readSize,
  saidNames,
  sizeGib,
  toldList,
  trimmed,
} from "./parts.ts"
import { newVolume, volumeDetail, volumeSummary } from "./volume-view.ts"

const idOf = ({ params }: Pick<WireRequest, "params">) => params.volume_id ?? ""
const textOrNull = typed(["string", "null"], { maxLength: 255 })
const metadataOrNull = typed(["object", "null"], { additionalProperties: { type: "string", maxLength: 255 } })

/** Clients send more than this, with nothing in it. */
const createBody = keyed(
  "volume",
  object({
    name: nameOrNull,
    display_name: nameOrNull,
    description: nameOrNull,
    display_description: nameOrNull,
    size: sizeGib,
    volume_type: textOrNull,
    imageRef: textOrNull,
    snapshot_id: textOrNull,
    source_volid: textOrNull,
    availability_zone: textOrNull,
    metadata: metadataOrNull,
    multiattach: boolean,
    backup_id: typed(["string", "null"], { format: "uuid" }),
    group_id: textOrNull,
    consistencygroup_id: textOrNull,
  }),
)

/** What is said, but not by an empty text. */
const said = (value: string | null | undefined) => (value ? value : null)

async function create(ctx: Ctx, req: WireRequest<BodyOf<typeof createBody>>) {
  const { volume: body } = req.body
  const backupId = said(body.backup_id)
  // Passed over it would be an empty volume for somebody who waits for data.
  if (backupId !== null && req.version.minor < 47)
    throw inputInvalid("backup_id: a volume is made from a backup from microversion 3.47 on.")
  if (readBoolean("multiattach", body.multiattach, false))
    throw inputInvalid(
      "multiattach is no parameter of a volume: take a volume type with the extra spec multiattach='<is> True'.",
    )
  const volume = await createVolume(ctx, {
    name: trimmed(body.name ?? body.display_name),
    description: trimmed(body.description ?? body.display_description),
    sizeGib: readSize("size", body.size),
    volumeType: said(body.volume_type),
    imageId: said(body.imageRef),
    snapshotId: said(body.snapshot_id),
    sourceVolumeId: said(body.source_volid),
    backupId,
    availabilityZone: said(body.availability_zone),
    // The schema admits texts only.
    metadata: (body.metadata ?? {}) as Record<string, string>,
    groupId: said(body.group_id) ?? said(body.consistencygroup_id),
  })
  return { volume: newVolume.show(ctx, req, volume) }
}

const updateBody = bodyWith(
  "volume",
  closed(
    {
      name: nameOrNull,
      display_name: nameOrNull,
      description: nameOrNull,
      display_description: nameOrNull,
      metadata,
    },
    [],
    { minProperties: 1 },
  ),
)

async function update(ctx: Ctx, req: WireRequest<BodyOf<typeof updateBody>>) {
  const { volume: body } = req.body
  const volume = await updateVolume(ctx, {
    id: idOf(req),
    changes: saidNames(body),
    metadata: body.metadata ?? null,
  })
  return { volume: newVolume.show(ctx, req, volume) }
}

const toldPage = (title: string, shown: typeof volumeSummary) => ({
  ...toldList(rules, toldCount),
  ...countedPage("volumes", title, shown.shows),
})

function listOf(view: typeof volumeSummary) {
  return async (ctx: Ctx, req: WireRequest) => {
    const asked = readList(ctx, req, rules)
    const found = await listVolumes(ctx, asked)
    return {
      volumes: found.items.map((volume) => view.show(ctx, req, volume)),
      ...nextLink(ctx, req, "volumes", found),
      ...(await countOf(ctx, req, asked, countVolumes)),
    }
  }
}

const summaryTold = one(
  "volume-summary",
  shape("VolumesSummary", {
    total_count: count,
    total_size: count,
    metadata: from("3.36", mapOf(texts)),
  }),
)

export const volumeRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/volumes",
    operation: listVolumes,
    alsoAsks: [countVolumes],
    told: toldPage("VolumeSummaries", volumeSummary),
    handler: listOf(volumeSummary),
  }),
  route({
    method: "GET",
    path: "/volumes/detail",
    operation: listVolumes,
    alsoAsks: [countVolumes],
    told: toldPage("Volumes", volumeDetail),
    handler: listOf(volumeDetail),
  }),
  route({
    method: "GET",
    path: "/volumes/summary",
    min: "3.12",
    operation: summarizeVolumes,
    told: { query: querySchema({ all_tenants: { type: "boolean" } }), ...summaryTold },
    handler: async (ctx, req) => {
      const isOfAllProjects = queryBoolean(req.query, "all_tenants") ?? false
      const {
        count: total_count,
        sizeGib: total_size,
        metadata: found,
      } = await summarizeVolumes(ctx, {
        isOfAllProjects,
      })
      const more = req.version.minor >= 36 ? { metadata: found } : {}
      return { "volume-summary": { total_count, total_size, ...more } }
    },
  }),
  route({
    method: "POST",
    path: "/volumes",
    status: 202,
    body: createBody,
    operation: createVolume,
    told: one("volume", newVolume.shows),
    handler: create,
  }),
  route({
    method: "GET",
    path: "/volumes/{volume_id}",
    operation: getVolume,
    told: one("volume", volumeDetail.shows),
    handler: async (ctx, req) => ({
      volume: volumeDetail.show(ctx, req, await getVolume(ctx, { id: idOf(req) })),
    }),
  }),
  route({
    method: "PUT",
    path: "/volumes/{volume_id}",
    body: updateBody,
    operation: updateVolume,
    told: one("volume", newVolume.shows),
    handler: update,
  }),
  route({
    method: "DELETE",
    path: "/volumes/{volume_id}",
    status: 202,
    operation: deleteVolume,
    told: {
      query: { type: "object", properties: { cascade: { type: "boolean" }, force: { type: "boolean" } } },
    },
    handler: async (ctx, req) => {
      await deleteVolume(ctx, {
        id: idOf(req),
        isCascading: queryBoolean(req.query, "cascade") ?? false,
        isForced: req.version.minor >= 23 ? (queryBoolean(req.query, "force") ?? false) : false,
      })
    },
  }),
]
