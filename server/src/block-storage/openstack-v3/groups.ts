// Groups of volumes. What the older calls have made only they show (consistency-groups.ts).
import { Type } from "typebox"
import { from, one, page as pageOf, rare, text, texts } from "../../api/openstack/shape.ts"
import { named, since, type Table, view } from "../../api/openstack/view.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { atLeast } from "../../platform/http/microversion.ts"
import { queryBoolean } from "../../platform/http/query.ts"
import type { BodyOf } from "../../platform/http/versions.ts"
import { type Route, reply, route, type WireRequest } from "../../platform/http/wire.ts"
import { can } from "../../platform/policy/can.ts"
import { anyObject, closed, typed } from "../../platform/schema/make.ts"
import {
  createGroup,
  createGroupFromSource,
  deleteGroup,
  disableReplication,
  enableReplication,
  failoverReplication,
  type Group,
  type GroupSnapshot,
  getGroup,
  getGroupSnapshot,
  groupNoun,
  groupStatuses,
  groupTypeInvalid,
  inputInvalid,
  listGroups,
  listReplicationTargets,
  listVolumesOfGroups,
  resetGroupStatus,
  updateGroup,
} from "../index.ts"
import { groupRules as rules } from "./list-rules.ts"
import {
  bodyOf,
  bodyWith,
  boolean,
  nameOrNull,
  nextLink,
  readBoolean,
  readList,
  toldList,
  trimmed,
  uuid,
} from "./parts.ts"

const { fields } = groupNoun
const min = "3.13"
const idOf = ({ params }: Pick<WireRequest, "params">) => params.group_id ?? ""

export const groupSummary = view<Group>("GroupSummary", named(fields, ["id", "name"]))

type Shown = Group & { volumes?: readonly string[] | undefined }

const table: Table<Shown> = {
  ...named(fields, ["id", "status", "availabilityZone", "createdAt", "name", "description"]),
  ...named(fields, ["groupTypeId", "volumeTypeIds"]),
  ...since("3.14", named(fields, ["groupSnapshotId", "sourceGroupId"])),
  volumes: [rare(from("3.25", texts)), "volumes"],
  // No back end keeps a second copy elsewhere.
  replication_status: [from("3.38", text), () => "disabled"],
  project_id: [
    rare(from("3.58", text)),
    ({ projectId }, ctx) => (can(ctx, "group:group_project_attribute") ? projectId : undefined),
  ],
}
const groupDetail = view<Shown>("Group", table)

/** Cinder's word for both. */
export function mustBeNoConsistencyGroup({ isConsistencyGroup, groupTypeId }: Group | GroupSnapshot): void {
  if (isConsistencyGroup)
    throw groupTypeInvalid(
      `Group_type ${groupTypeId} is reserved for migrating CGs to groups. Migrated group can only be operated by CG APIs.`,
    )
}

export async function ownGroup(ctx: Ctx, id: string): Promise<Group> {
  const group = await getGroup(ctx, { id })
  mustBeNoConsistencyGroup(group)
  return group
}

const volumesAreAsked = (req: WireRequest) => queryBoolean(req.query, "list_volume") ?? false

async function withVolumes(ctx: Ctx, req: WireRequest, groups: readonly Group[]): Promise<readonly Shown[]> {
  if (!volumesAreAsked(req)) return groups
  const found = await listVolumesOfGroups(ctx, { groupIds: groups.map(({ id }) => id) })
  return groups.map((group) => ({ ...group, volumes: found.get(group.id) }))
}

async function list(ctx: Ctx, req: WireRequest) {
  const found = await listGroups(ctx, readList(ctx, req, rules))
  // As in Cinder a page may have fewer than were asked for.
  return { groups: found.items.filter((group) => !group.isConsistencyGroup), found }
}

const textOrNull = typed(["string", "null"], { maxLength: 255 })

const createBody = bodyOf(
  "group",
  {
    name: nameOrNull,
    description: nameOrNull,
    group_type: Type.String({ minLength: 1, maxLength: 255, pattern: "\\S" }),
    volume_types: Type.Array(Type.String({ maxLength: 255 }), {
      minItems: 1,
      maxItems: 256,
      uniqueItems: true,
    }),
    availability_zone: textOrNull,
  },
  ["group_type", "volume_types"],
)

async function create(ctx: Ctx, req: WireRequest<BodyOf<typeof createBody>>) {
  const { group: body } = req.body
  const group = await createGroup(ctx, {
    name: trimmed(body.name),
    description: trimmed(body.description),
    groupType: body.group_type.trim(),
    volumeTypes: body.volume_types,
    availabilityZone: body.availability_zone || null,
  })
  return { group: groupSummary.show(ctx, req, group) }
}

/** `id,id,` */
export const readIds = (value: string | null | undefined) =>
  (value ?? "").split(",").filter((id) => id !== "")

const updateBody = bodyWith(
  "group",
  closed(
    { name: nameOrNull, description: nameOrNull, add_volumes: textOrNull, remove_volumes: textOrNull },
    [],
    {
      minProperties: 1,
    },
  ),
)

async function update(ctx: Ctx, req: WireRequest<BodyOf<typeof updateBody>>) {
  const { group: body } = req.body
  const id = idOf(req)
  await ownGroup(ctx, id)
  await updateGroup(ctx, {
    id,
    changes: { name: trimmed(body.name), description: trimmed(body.description) },
    addVolumes: readIds(body.add_volumes),
    removeVolumes: readIds(body.remove_volumes),
  })
  return reply(202)
}

const fromSourceBody = bodyWith(
  "create-from-src",
  closed({ name: nameOrNull, description: nameOrNull, group_snapshot_id: uuid, source_group_id: uuid }),
)

async function createFromSource(ctx: Ctx, req: WireRequest<BodyOf<typeof fromSourceBody>>) {
  const { "create-from-src": body } = req.body
  const { group_snapshot_id: snapshotId, source_group_id: groupId } = body
  if ((snapshotId === undefined) === (groupId === undefined))
    throw inputInvalid("create-from-src: say either group_snapshot_id or source_group_id.")
  if (groupId !== undefined) await ownGroup(ctx, groupId)
  if (snapshotId !== undefined) mustBeNoConsistencyGroup(await getGroupSnapshot(ctx, { id: snapshotId }))
  const group = await createGroupFromSource(ctx, {
    name: trimmed(body.name),
    description: trimmed(body.description),
    source:
      groupId === undefined
        ? { kind: "group_snapshot", id: snapshotId ?? "" }
        : { kind: "group", id: groupId },
  })
  return { group: groupSummary.show(ctx, req, group) }
}

/** In any case, as Cinder reads it. */
export const statusWord = Type.Unsafe<string>({
  type: "string",
  pattern: `^(${groupStatuses.map((status) => [...status].map(eitherCase).join("")).join("|")})$`,
})

function eitherCase(letter: string): string {
  return /[a-z]/.test(letter) ? `[${letter}${letter.toUpperCase()}]` : letter
}

export const readStatus = (value: string) =>
  groupStatuses.find((status) => status === value.toLowerCase()) ?? "error"

const deleteBody = bodyOf("delete", { "delete-volumes": boolean })
const resetBody = bodyOf("reset_status", { status: statusWord }, ["status"])
const replications = {
  enable_replication: enableReplication,
  disable_replication: disableReplication,
  failover_replication: failoverReplication,
  list_replication_targets: listReplicationTargets,
} as const
const failoverBody = bodyOf("failover_replication", {
  allow_attached_volume: boolean,
  secondary_backend_id: textOrNull,
})
const actionBody = Type.Union([
  deleteBody,
  resetBody,
  failoverBody,
  ...(["enable_replication", "disable_replication", "list_replication_targets"] as const).map((name) =>
    bodyWith(name, anyObject),
  ),
])

const firstVersions: Readonly<Record<string, string>> = {
  delete: min,
  reset_status: "3.20",
  ...Object.fromEntries(Object.keys(replications).map((name) => [name, "3.38"])),
}

async function act(ctx: Ctx, req: WireRequest<Record<string, unknown>>) {
  const [id, { body, version }] = [idOf(req), req]
  const [name = ""] = Object.keys(body)
  const first = firstVersions[name]
  if (first === undefined || !atLeast(version, first)) throw inputInvalid(`there is no such action: ${name}.`)
  if (name === "reset_status") {
    await getGroup(ctx, { id })
    const { status } = (body as BodyOf<typeof resetBody>).reset_status
    await resetGroupStatus(ctx, { id, status: readStatus(status) })
  } else if (name === "delete") {
    await ownGroup(ctx, id)
    const asked = (body as BodyOf<typeof deleteBody>).delete["delete-volumes"]
    await deleteGroup(ctx, { id, deletesVolumes: readBoolean("delete-volumes", asked, false) })
  } else {
    if (name === "failover_replication") {
      const asked = (body as BodyOf<typeof failoverBody>).failover_replication.allow_attached_volume
      readBoolean("allow_attached_volume", asked, false)
    }
    await getGroup(ctx, { id })
    await replications[name as keyof typeof replications](ctx, { id })
  }
  return reply(202)
}

const listQuery = (withVolumesToo: boolean) =>
  toldList(rules, withVolumesToo ? { list_volume: { type: "boolean" } } : {})

export const groupRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/groups",
    min,
    operation: listGroups,
    told: { ...listQuery(false), ...pageOf("groups", groupSummary.shows, "group") },
    handler: async (ctx, req) => {
      const { groups, found } = await list(ctx, req)
      return {
        groups: groups.map((group) => groupSummary.show(ctx, req, group)),
        ...nextLink(ctx, req, "group", found),
      }
    },
  }),
  route({
    method: "GET",
    path: "/groups/detail",
    min,
    operation: listGroups,
    alsoAsks: listVolumesOfGroups,
    told: { ...listQuery(true), ...pageOf("groups", groupDetail.shows, "group") },
    handler: async (ctx, req) => {
      const { groups, found } = await list(ctx, req)
      const shown = await withVolumes(ctx, req, groups)
      return {
        groups: shown.map((group) => groupDetail.show(ctx, req, group)),
        ...nextLink(ctx, req, "group", found),
      }
    },
  }),
  route({
    method: "POST",
    path: "/groups",
    min,
    status: 202,
    body: createBody,
    operation: createGroup,
    told: one("group", groupSummary.shows),
    handler: create,
  }),
  route({
    method: "POST",
    path: "/groups/action",
    min: "3.14",
    status: 202,
    body: fromSourceBody,
    actions: { "create-from-src": createGroupFromSource },
    alsoAsks: [getGroup, getGroupSnapshot],
    told: one("group", groupSummary.shows),
    handler: createFromSource,
  }),
  route({
    method: "GET",
    path: "/groups/{group_id}",
    min,
    operation: getGroup,
    alsoAsks: listVolumesOfGroups,
    told: {
      query: { type: "object", properties: { list_volume: { type: "boolean" } } },
      ...one("group", groupDetail.shows),
    },
    handler: async (ctx, req) => {
      const [group] = await withVolumes(ctx, req, [await ownGroup(ctx, idOf(req))])
      return { group: group && groupDetail.show(ctx, req, group) }
    },
  }),
  route({
    method: "PUT",
    path: "/groups/{group_id}",
    min,
    status: 202,
    body: updateBody,
    operation: updateGroup,
    alsoAsks: getGroup,
    handler: update,
  }),
  route({
    method: "POST",
    path: "/groups/{group_id}/action",
    min,
    status: 202,
    body: actionBody,
    actions: { delete: deleteGroup, reset_status: resetGroupStatus, ...replications },
    alsoAsks: getGroup,
    handler: act,
  }),
]
