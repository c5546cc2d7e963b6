import { from, one, page as pageOf, rare, text } from "../../api/openstack/shape.ts"
import { named, view } from "../../api/openstack/view.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { atLeast } from "../../platform/http/microversion.ts"
import type { BodyOf } from "../../platform/http/versions.ts"
import { type Route, reply, route, type WireRequest } from "../../platform/http/wire.ts"
import { can } from "../../platform/policy/can.ts"
import {
  createGroupSnapshot,
  deleteGroupSnapshot,
  type GroupSnapshot,
  getGroup,
  getGroupSnapshot,
  groupSnapshotNoun,
  listGroupSnapshots,
  resetGroupSnapshotStatus,
} from "../index.ts"
import { mustBeNoConsistencyGroup, ownGroup, readStatus, statusWord } from "./groups.ts"
import { groupSnapshotRules as rules } from "./list-rules.ts"
import { bodyOf, nameOrNull, nextLink, readList, toldList, trimmed, uuid } from "./parts.ts"

const { fields } = groupSnapshotNoun
const min = "3.14"
const idOf = ({ params }: Pick<WireRequest, "params">) => params.group_snapshot_id ?? ""

const summary = view<GroupSnapshot>("GroupSnapshotSummary", named(fields, ["id", "name"]))
const created = view<GroupSnapshot>("NewGroupSnapshot", named(fields, ["id", "name", "groupTypeId"]))
const detail = view<GroupSnapshot>("GroupSnapshot", {
  ...named(fields, ["id", "groupId", "groupTypeId", "status", "createdAt", "name", "description"]),
  project_id: [
    rare(from("3.58", text)),
    ({ projectId }, ctx) => (can(ctx, "group:group_snapshot_project_attribute") ? projectId : undefined),
  ],
})

async function ownSnapshot(ctx: Ctx, id: string): Promise<GroupSnapshot> {
  const snapshot = await getGroupSnapshot(ctx, { id })
  mustBeNoConsistencyGroup(snapshot)
  return snapshot
}

const createBody = bodyOf("group_snapshot", { group_id: uuid, name: nameOrNull, description: nameOrNull }, [
  "group_id",
])

async function create(ctx: Ctx, req: WireRequest<BodyOf<typeof createBody>>) {
  const { group_id: groupId, name, description } = req.body.group_snapshot
  await ownGroup(ctx, groupId)
  const wish = { groupId, name: trimmed(name), description: trimmed(description) }
  return { group_snapshot: created.show(ctx, req, await createGroupSnapshot(ctx, wish)) }
}

/** Until 3.29 there is the whole list only. */
function listOf(shown: typeof summary) {
  return async (ctx: Ctx, req: WireRequest) => {
    const asked = atLeast(req.version, "3.29") ? req : { ...req, query: {} }
    const found = await listGroupSnapshots(ctx, readList(ctx, asked, rules))
    const items = found.items.filter((snapshot) => !snapshot.isConsistencyGroup)
    return {
      group_snapshots: items.map((snapshot) => shown.show(ctx, req, snapshot)),
      ...nextLink(ctx, asked, "group_snapshot", found),
    }
  }
}

const resetBody = bodyOf("reset_status", { status: statusWord }, ["status"])
const one_ = "/group_snapshots/{group_snapshot_id}"

export const groupSnapshotRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/group_snapshots",
    min,
    operation: listGroupSnapshots,
    told: { ...toldList(rules), ...pageOf("group_snapshots", summary.shows, "group_snapshot") },
    handler: listOf(summary),
  }),
  route({
    method: "GET",
    path: "/group_snapshots/detail",
    min,
    operation: listGroupSnapshots,
    told: { ...toldList(rules), ...pageOf("group_snapshots", detail.shows, "group_snapshot") },
    handler: listOf(detail),
  }),
  route({
    method: "POST",
    path: "/group_snapshots",
    min,
    status: 202,
    body: createBody,
    operation: createGroupSnapshot,
    alsoAsks: getGroup,
    told: one("group_snapshot", created.shows),
    handler: create,
  }),
  route({
    method: "GET",
    path: one_,
    min,
    operation: getGroupSnapshot,
    told: one("group_snapshot", detail.shows),
    handler: async (ctx, req) => ({
      group_snapshot: detail.show(ctx, req, await ownSnapshot(ctx, idOf(req))),
    }),
  }),
  route({
    method: "DELETE",
    path: one_,
    min,
    status: 202,
    operation: deleteGroupSnapshot,
    alsoAsks: getGroupSnapshot,
    handler: async (ctx, req) => {
      await ownSnapshot(ctx, idOf(req))
      await deleteGroupSnapshot(ctx, { id: idOf(req) })
    },
  }),
  route({
    method: "POST",
    path: `${one_}/action`,
    min: "3.19",
    status: 202,
    body: resetBody,
    actions: { reset_status: resetGroupSnapshotStatus },
    handler: async (ctx, req: WireRequest<BodyOf<typeof resetBody>>) => {
      const { status } = req.body.reset_status
      await resetGroupSnapshotStatus(ctx, { id: idOf(req), status: readStatus(status) })
      return reply(202)
    },
  }),
]
