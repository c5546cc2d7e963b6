// The older calls for groups and their snapshots, whose clients know no group types. They work on the same rows; what
// they make is of one type, which snapshots its volumes as they are at one moment.
import { Type } from "typebox"
import { one, page as pageOf } from "../../api/openstack/shape.ts"
import { named, view } from "../../api/openstack/view.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { atLeast } from "../../platform/http/microversion.ts"
import type { BodyOf } from "../../platform/http/versions.ts"
import { type Route, reply, route, type WireRequest } from "../../platform/http/wire.ts"
import { nullable, object, typed } from "../../platform/schema/make.ts"
import {
  createGroup,
  createGroupFromSource,
  createGroupSnapshot,
  deleteGroup,
  deleteGroupSnapshot,
  type Group,
  type GroupSnapshot,
  getGroup,
  getGroupSnapshot,
  groupNoun,
  groupSnapshotNoun,
  inputInvalid,
  listGroupSnapshots,
  listGroups,
  updateGroup,
} from "../index.ts"
import { readIds } from "./groups.ts"
import { bodyWith, boolean, nameOrNull, nextLink, readBoolean, readList, toldList, trimmed } from "./parts.ts"

const groupId = ({ params }: Pick<WireRequest, "params">) => params.consistencygroup_id ?? ""
const snapshotId = ({ params }: Pick<WireRequest, "params">) => params.cgsnapshot_id ?? ""

const summary = view<Group>("ConsistencyGroupSummary", named(groupNoun.fields, ["id", "name"]))
const detail = view<Group>(
  "ConsistencyGroup",
  named(groupNoun.fields, [
    ...(["id", "status", "availabilityZone", "createdAt", "name", "description"] as const),
    "volumeTypeIds",
  ]),
)
const snapshotSummary = view<GroupSnapshot>(
  "CgsnapshotSummary",
  named(groupSnapshotNoun.fields, ["id", "name"]),
)
const snapshotDetail = view<GroupSnapshot>("Cgsnapshot", {
  ...named(groupSnapshotNoun.fields, ["id", "status", "createdAt", "name", "description"]),
  ...named(groupSnapshotNoun.fields, { consistencygroup_id: "groupId" }),
})

const idsMost = 10_000
/** Of which more members are passed over, as Cinder does here. */
const createBody = bodyWith(
  "consistencygroup",
  object(
    {
      name: nameOrNull,
      description: nameOrNull,
      volume_types: typed(["string", "null"], { maxLength: idsMost }),
      availability_zone: typed(["string", "null"], { maxLength: 255 }),
    },
    ["volume_types"],
  ),
)

async function create(ctx: Ctx, req: WireRequest<BodyOf<typeof createBody>>) {
  const { consistencygroup: body } = req.body
  const volumeTypes = readIds(body.volume_types)
  if (volumeTypes.length === 0)
    throw inputInvalid(`volume_types must be provided to create consistency group ${body.name ?? ""}.`)
  const group = await createGroup(ctx, {
    name: trimmed(body.name),
    description: trimmed(body.description),
    groupType: null,
    volumeTypes,
    availabilityZone: body.availability_zone || null,
  })
  return { consistencygroup: summary.show(ctx, req, group) }
}

const anId = Type.String({ maxLength: 255 })
const fromSourceBody = bodyWith(
  "consistencygroup-from-src",
  object({ name: nameOrNull, description: nameOrNull, cgsnapshot_id: anId, source_cgid: anId }),
)

async function createFromSource(ctx: Ctx, req: WireRequest<BodyOf<typeof fromSourceBody>>) {
  const { "consistencygroup-from-src": body } = req.body
  const { cgsnapshot_id: fromSnapshot = "", source_cgid: fromGroup = "" } = body
  if (fromSnapshot === "" && fromGroup === "")
    throw inputInvalid("Either 'cgsnapshot_id' or 'source_cgid' must be provided.")
  if (fromSnapshot !== "" && fromGroup !== "")
    throw inputInvalid("Cannot provide both 'cgsnapshot_id' and 'source_cgid'.")
  if (fromGroup === "") await getGroupSnapshot(ctx, { id: fromSnapshot })
  else await getGroup(ctx, { id: fromGroup })
  const group = await createGroupFromSource(ctx, {
    name: trimmed(body.name),
    description: trimmed(body.description),
    source:
      fromGroup === "" ? { kind: "group_snapshot", id: fromSnapshot } : { kind: "group", id: fromGroup },
  })
  return { consistencygroup: summary.show(ctx, req, group) }
}

const idsOrNull = typed(["string", "null"], { maxLength: idsMost })
const updateBody = bodyWith(
  "consistencygroup",
  object({
    name: nameOrNull,
    description: nameOrNull,
    add_volumes: idsOrNull,
    remove_volumes: idsOrNull,
  }),
)

/** From 3.6 on an empty name or description is something to change. */
async function update(ctx: Ctx, req: WireRequest<BodyOf<typeof updateBody>>) {
  const { name, description, add_volumes: add, remove_volumes: remove } = req.body.consistencygroup
  const isSaid = (value: string | null | undefined) =>
    atLeast(req.version, "3.6") ? typeof value === "string" : Boolean(value)
  const id = groupId(req)
  await getGroup(ctx, { id })
  if (!isSaid(name) && !isSaid(description) && !add && !remove)
    throw inputInvalid(
      "Name, description, add_volumes, and remove_volumes can not be all empty in the request body.",
    )
  await updateGroup(ctx, {
    id,
    changes: { name: trimmed(name), description: trimmed(description) },
    addVolumes: readIds(add),
    removeVolumes: readIds(remove),
  })
  return reply(202)
}

const deleteBody = nullable(object({ consistencygroup: object({ force: boolean }) }))

async function remove(ctx: Ctx, req: WireRequest<BodyOf<typeof deleteBody>>) {
  const id = groupId(req)
  await getGroup(ctx, { id })
  const force = readBoolean("force", req.body?.consistencygroup?.force, false)
  await deleteGroup(ctx, { id, deletesVolumes: force })
  return reply(202)
}

const rules = { fields: groupNoun.fields }

function listOf(shown: typeof summary) {
  return async (ctx: Ctx, req: WireRequest) => {
    const found = await listGroups(ctx, readList(ctx, req, rules))
    return {
      consistencygroups: found.items.map((group) => shown.show(ctx, req, group)),
      ...nextLink(ctx, req, "consistencygroup", found),
    }
  }
}

const snapshotRules = { fields: groupSnapshotNoun.fields }

/** Without links, as in Cinder. */
function listSnapshotsOf(shown: typeof snapshotSummary) {
  return async (ctx: Ctx, req: WireRequest) => {
    const found = await listGroupSnapshots(ctx, readList(ctx, req, snapshotRules))
    return { cgsnapshots: found.items.map((snapshot) => shown.show(ctx, req, snapshot)) }
  }
}

const snapshotBody = bodyWith(
  "cgsnapshot",
  object({ consistencygroup_id: anId, name: nameOrNull, description: nameOrNull }, ["consistencygroup_id"]),
)

async function takeSnapshot(ctx: Ctx, req: WireRequest<BodyOf<typeof snapshotBody>>) {
  const { consistencygroup_id: id, name, description } = req.body.cgsnapshot
  await getGroup(ctx, { id })
  const wish = { groupId: id, name: trimmed(name), description: trimmed(description) }
  return { cgsnapshot: snapshotSummary.show(ctx, req, await createGroupSnapshot(ctx, wish)) }
}

const groups = "/consistencygroups"
const snapshots = "/cgsnapshots"
const told = (shown: typeof summary) => ({
  ...toldList(rules),
  ...pageOf("consistencygroups", shown.shows, "consistencygroup"),
})
const snapshotsTold = (shown: typeof snapshotSummary) => ({
  ...toldList(snapshotRules),
  ...pageOf("cgsnapshots", shown.shows),
})

export const consistencyGroupRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: groups,
    operation: listGroups,
    told: told(summary),
    handler: listOf(summary),
  }),
  route({
    method: "GET",
    path: `${groups}/detail`,
    operation: listGroups,
    told: told(detail),
    handler: listOf(detail),
  }),
  route({
    method: "POST",
    path: groups,
    status: 202,
    body: createBody,
    operation: createGroup,
    told: one("consistencygroup", summary.shows),
    handler: create,
  }),
  route({
    method: "POST",
    path: `${groups}/create_from_src`,
    status: 202,
    body: fromSourceBody,
    operation: createGroupFromSource,
    alsoAsks: [getGroup, getGroupSnapshot],
    told: one("consistencygroup", summary.shows),
    handler: createFromSource,
  }),
  route({
    method: "GET",
    path: `${groups}/{consistencygroup_id}`,
    operation: getGroup,
    told: one("consistencygroup", detail.shows),
    handler: async (ctx, req) => ({
      consistencygroup: detail.show(ctx, req, await getGroup(ctx, { id: groupId(req) })),
    }),
  }),
  route({
    method: "PUT",
    path: `${groups}/{consistencygroup_id}/update`,
    status: 202,
    body: updateBody,
    operation: updateGroup,
    alsoAsks: getGroup,
    handler: update,
  }),
  route({
    method: "POST",
    path: `${groups}/{consistencygroup_id}/delete`,
    status: 202,
    body: deleteBody,
    operation: deleteGroup,
    alsoAsks: getGroup,
    handler: remove,
  }),
  route({
    method: "GET",
    path: snapshots,
    operation: listGroupSnapshots,
    told: snapshotsTold(snapshotSummary),
    handler: listSnapshotsOf(snapshotSummary),
  }),
  route({
    method: "GET",
    path: `${snapshots}/detail`,
    operation: listGroupSnapshots,
    told: snapshotsTold(snapshotDetail),
    handler: listSnapshotsOf(snapshotDetail),
  }),
  route({
    method: "POST",
    path: snapshots,
    status: 202,
    body: snapshotBody,
    operation: createGroupSnapshot,
    alsoAsks: getGroup,
    told: one("cgsnapshot", snapshotSummary.shows),
    handler: takeSnapshot,
  }),
  route({
    method: "GET",
    path: `${snapshots}/{cgsnapshot_id}`,
    operation: getGroupSnapshot,
    told: one("cgsnapshot", snapshotDetail.shows),
    handler: async (ctx, req) => ({
      cgsnapshot: snapshotDetail.show(ctx, req, await getGroupSnapshot(ctx, { id: snapshotId(req) })),
    }),
  }),
  route({
    method: "DELETE",
    path: `${snapshots}/{cgsnapshot_id}`,
    status: 202,
    operation: deleteGroupSnapshot,
    handler: async (ctx, req) => await deleteGroupSnapshot(ctx, { id: snapshotId(req) }),
  }),
]
