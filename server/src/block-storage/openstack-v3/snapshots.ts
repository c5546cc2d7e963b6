import { Type } from "typebox"
import { from, one, rare, text } from "../../api/openstack/shape.ts"
import { named, since, type Table, view } from "../../api/openstack/view.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { atLeast } from "../../platform/http/microversion.ts"
import type { BodyOf } from "../../platform/http/versions.ts"
import { type Route, reply, route, type WireRequest } from "../../platform/http/wire.ts"
import { anyObject, closed, nullable, object, typed, word } from "../../platform/schema/make.ts"
import {
  countSnapshots,
  createSnapshot,
  deleteSnapshot,
  getSnapshot,
  inputInvalid,
  listSnapshots,
  noteSnapshotProgress,
  resetSnapshotStatus,
  type Snapshot,
  snapshotNoun,
  snapshotStatuses,
  unmanageSnapshot,
  updateSnapshot,
} from "../index.ts"
import { countedPage, countOf, toldCount } from "./counted.ts"
import { snapshotRules as rules } from "./list-rules.ts"
import {
  bodyOf,
  bodyWith,
  boolean,
  nameOrNull,
  nextLink,
  readBoolean,
  readList,
  saidNames,
  toldList,
  trimmed,
} from "./parts.ts"

const { fields } = snapshotNoun
const idOf = ({ params }: Pick<WireRequest, "params">) => params.snapshot_id ?? ""

const common: Table<Snapshot> = {
  ...named(fields, ["id", "name", "description", "status", "createdAt", "updatedAt", "metadata", "volumeId"]),
  ...named(fields, { size: "sizeGib" }),
  ...since("3.41", named(fields, { user_id: "userId" })),
  ...since("3.14", named(fields, ["groupSnapshotId"])),
  consumes_quota: [from("3.65", Type.Boolean()), () => true],
}

export const snapshotSummary = view<Snapshot>("SnapshotSummary", common)

const isOwn = ({ projectId }: Snapshot, ctx: Ctx) =>
  ctx.policy.isAllowed(ctx.caller, "volume_extension:extended_snapshot_attributes", { project_id: projectId })

const progressOf = ({ progress, status }: Snapshot) => progress ?? (status === "available" ? "100%" : "0%")

export const snapshotDetail = view<Snapshot>("Snapshot", {
  ...common,
  "os-extended-snapshot-attributes:progress": [
    rare(text),
    (snapshot, ctx) => (isOwn(snapshot, ctx) ? progressOf(snapshot) : undefined),
  ],
  "os-extended-snapshot-attributes:project_id": [
    rare(text),
    (snapshot, ctx) => (isOwn(snapshot, ctx) ? snapshot.projectId : undefined),
  ],
})

const createBody = bodyWith(
  "snapshot",
  object(
    {
      volume_id: typed(["string", "null"], { maxLength: 255 }),
      name: nameOrNull,
      display_name: nameOrNull,
      description: nameOrNull,
      display_description: nameOrNull,
      force: boolean,
      metadata: typed(["object", "null"], { additionalProperties: { type: "string", maxLength: 255 } }),
    },
    ["volume_id"],
  ),
)

/** From 3.66 on a volume that a server has needs no `force`, and false says nothing. */
function readForce({ version, body }: WireRequest<BodyOf<typeof createBody>>): boolean {
  const isForced = readBoolean("force", body.snapshot.force, false)
  if (!atLeast(version, "3.66")) return isForced
  if (body.snapshot.force !== undefined && !isForced)
    throw inputInvalid("force: false is not taken from 3.66 on; leave it out.")
  return true
}

async function create(ctx: Ctx, req: WireRequest<BodyOf<typeof createBody>>) {
  const { snapshot: body } = req.body
  const snapshot = await createSnapshot(ctx, {
    // Who names none names one that is not there.
    volumeId: body.volume_id ?? "",
    name: trimmed(body.name ?? body.display_name),
    description: trimmed(body.description ?? body.display_description),
    metadata: (body.metadata ?? {}) as Record<string, string>,
    mayBeInUse: readForce(req),
  })
  return { snapshot: snapshotSummary.show(ctx, req, snapshot) }
}

const updateBody = bodyWith(
  "snapshot",
  closed(
    { name: nameOrNull, display_name: nameOrNull, description: nameOrNull, display_description: nameOrNull },
    [],
    { minProperties: 1 },
  ),
)

async function update(ctx: Ctx, req: WireRequest<BodyOf<typeof updateBody>>) {
  const { snapshot: body } = req.body
  const changes = saidNames(body)
  return { snapshot: snapshotSummary.show(ctx, req, await updateSnapshot(ctx, { id: idOf(req), changes })) }
}

const toldPage = (title: string, shown: typeof snapshotSummary) => ({
  ...toldList(rules, toldCount),
  ...countedPage("snapshots", title, shown.shows),
})

function listOf(shown: typeof snapshotSummary) {
  return async (ctx: Ctx, req: WireRequest) => {
    const asked = readList(ctx, req, rules)
    const found = await listSnapshots(ctx, asked)
    return {
      snapshots: found.items.map((snapshot) => shown.show(ctx, req, snapshot)),
      ...nextLink(ctx, req, "snapshots", found),
      ...(await countOf(ctx, req, asked, countSnapshots)),
    }
  }
}

const resetBody = bodyOf("os-reset_status", { status: word(snapshotStatuses) }, ["status"])
const forceDeleteBody = bodyWith("os-force_delete", nullable(anyObject))
const progressBody = bodyOf(
  "os-update_snapshot_status",
  {
    status: word(snapshotStatuses),
    progress: typed(["string", "null"], { pattern: "^(100|[0-9]{1,2})%$" }),
  },
  ["status"],
)
const unmanageBody = bodyWith("os-unmanage", nullable(anyObject))
const actionBody = Type.Union([resetBody, forceDeleteBody, progressBody, unmanageBody])

export const snapshotRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/snapshots",
    operation: listSnapshots,
    alsoAsks: [countSnapshots],
    told: toldPage("SnapshotSummaries", snapshotSummary),
    handler: listOf(snapshotSummary),
  }),
  route({
    method: "GET",
    path: "/snapshots/detail",
    operation: listSnapshots,
    alsoAsks: [countSnapshots],
    told: toldPage("Snapshots", snapshotDetail),
    handler: listOf(snapshotDetail),
  }),
  route({
    method: "POST",
    path: "/snapshots",
    status: 202,
    body: createBody,
    operation: createSnapshot,
    told: one("snapshot", snapshotSummary.shows),
    handler: create,
  }),
  route({
    method: "GET",
    path: "/snapshots/{snapshot_id}",
    operation: getSnapshot,
    told: one("snapshot", snapshotDetail.shows),
    handler: async (ctx, req) => ({
      snapshot: snapshotDetail.show(ctx, req, await getSnapshot(ctx, { id: idOf(req) })),
    }),
  }),
  route({
    method: "PUT",
    path: "/snapshots/{snapshot_id}",
    body: updateBody,
    operation: updateSnapshot,
    told: one("snapshot", snapshotSummary.shows),
    handler: update,
  }),
  route({
    method: "DELETE",
    path: "/snapshots/{snapshot_id}",
    status: 202,
    operation: deleteSnapshot,
    handler: async (ctx, req) => await deleteSnapshot(ctx, { id: idOf(req), isForced: false }),
  }),
  route({
    method: "POST",
    path: "/snapshots/{snapshot_id}/action",
    status: 202,
    body: actionBody,
    actions: {
      "os-reset_status": resetSnapshotStatus,
      "os-force_delete": deleteSnapshot,
      "os-update_snapshot_status": noteSnapshotProgress,
      "os-unmanage": unmanageSnapshot,
    },
    handler: async (ctx, req) => {
      const [id, { body }] = [idOf(req), req]
      if ("os-reset_status" in body)
        await resetSnapshotStatus(ctx, { id, status: body["os-reset_status"].status })
      else if ("os-update_snapshot_status" in body) {
        const { status, progress = null } = body["os-update_snapshot_status"]
        await noteSnapshotProgress(ctx, { id, status, progress })
      } else if ("os-unmanage" in body) await unmanageSnapshot(ctx, { id })
      else await deleteSnapshot(ctx, { id, isForced: true })
      return reply(202)
    },
  }),
]
