import { route, type WireRequest } from "../../platform/http/wire.ts"
import type { Fields } from "../../platform/schema/make.ts"
import {
  addGroupUser,
  checkGroupUser,
  createGroup,
  deleteGroup,
  getGroup,
  listGroups,
  listGroupUsers,
  removeGroupUser,
  updateGroup,
} from "../index.ts"
import { admitToNew, admitToOne } from "./admit.ts"
import { viewGroup } from "./groups-view.ts"
import { extraOf, given, readOldList, requireSameId } from "./read.ts"
import { description, idString, member, name } from "./schema.ts"
import { viewUser } from "./users.ts"
import { pageReply } from "./view.ts"

const properties = { name, domain_id: idString, description }
const known = [...Object.keys(properties), "id", "links"]

function readGroup(body: Fields<typeof properties>) {
  return given({ domainId: body.domain_id, description: body.description, extra: extraOf(body, known) })
}

export const groupRoutes = [
  route({
    method: "GET",
    path: "/groups",
    operation: listGroups,
    handler: async (ctx, req) => {
      const list = await listGroups(ctx, readOldList(req.query, { name: "text", domain_id: "text" }))
      return pageReply(ctx, req, "groups", list, viewGroup)
    },
  }),
  route({
    method: "POST",
    path: "/groups",
    operation: createGroup,
    body: member("group", properties, { required: ["name"] }),
    admit: admitToNew(createGroup, "group"),
    handler: async (ctx, req) => {
      const { group } = req.body
      const row = await createGroup(ctx, { name: group.name, ...readGroup(group) })
      return { group: viewGroup(ctx, req, row) }
    },
  }),
  route({
    method: "GET",
    path: "/groups/{group_id}",
    operation: getGroup,
    handler: async (ctx, req) => ({
      group: viewGroup(ctx, req, await getGroup(ctx, { id: req.params.group_id ?? "" })),
    }),
  }),
  route({
    method: "PATCH",
    path: "/groups/{group_id}",
    operation: updateGroup,
    body: member("group", properties, { minProperties: 1 }),
    admit: admitToOne(updateGroup, "group"),
    handler: async (ctx, req) => {
      const id = req.params.group_id ?? ""
      const { group } = req.body
      requireSameId(group, id)
      const row = await updateGroup(ctx, { id, ...given({ name: group.name }), ...readGroup(group) })
      return { group: viewGroup(ctx, req, row) }
    },
  }),
  route({
    method: "DELETE",
    path: "/groups/{group_id}",
    operation: deleteGroup,
    handler: async (ctx, req) => {
      await deleteGroup(ctx, { id: req.params.group_id ?? "" })
    },
  }),
  route({
    method: "GET",
    path: "/groups/{group_id}/users",
    operation: listGroupUsers,
    handler: async (ctx, req) => {
      const list = readOldList(req.query, { name: "text", enabled: "boolean", domain_id: "text" })
      const users = await listGroupUsers(ctx, { groupId: req.params.group_id ?? "", ...list })
      return pageReply(ctx, req, "users", users, viewUser)
    },
  }),
  route({
    method: "PUT",
    path: "/groups/{group_id}/users/{user_id}",
    operation: addGroupUser,
    status: 204,
    handler: async (ctx, req) => {
      await addGroupUser(ctx, pair(req))
    },
  }),
  route({
    method: "GET",
    path: "/groups/{group_id}/users/{user_id}",
    operation: checkGroupUser,
    status: 204,
    handler: async (ctx, req) => {
      await checkGroupUser(ctx, pair(req))
    },
  }),
  route({
    method: "DELETE",
    path: "/groups/{group_id}/users/{user_id}",
    operation: removeGroupUser,
    handler: async (ctx, req) => {
      await removeGroupUser(ctx, pair(req))
    },
  }),
]

function pair(req: WireRequest) {
  return { groupId: req.params.group_id ?? "", userId: req.params.user_id ?? "" }
}
