import { route } from "../../platform/http/wire.ts"
import {
  addGroupUser,
  checkGroupUser,
  createGroup,
  deleteGroup,
  getGroup,
  groupNoun,
  listGroups,
  listGroupUsers,
  removeGroupUser,
  updateGroup,
  userNoun,
} from "../index.ts"
import { admitToNew } from "./admit.ts"
import { viewGroup } from "./groups-view.ts"
import { membershipRoutes } from "./membership.ts"
import { readList } from "./read.ts"
import { resourceRoutes } from "./resource.ts"
import { description, idString, name } from "./schema.ts"
import { listQuery, pageOf } from "./told.ts"
import { viewUser } from "./users.ts"
import { pageReply } from "./view.ts"

const userFilters = ["name", "isEnabled", "domainId"] as const

export const groupRoutes = [
  ...resourceRoutes({
    noun: groupNoun,
    singular: "group",
    view: viewGroup,
    properties: { name, domain_id: idString, description },
    required: ["name"],
    admit: admitToNew(createGroup, "group"),
    list: listGroups,
    get: getGroup,
    create: createGroup,
    update: updateGroup,
    remove: deleteGroup,
  }),
  route({
    method: "GET",
    path: "/groups/{group_id}/users",
    operation: listGroupUsers,
    told: { query: listQuery(userNoun, userFilters), ...pageOf("users", viewUser.shows) },
    handler: async (ctx, req) => {
      const query = readList(req.query, userNoun, userFilters)
      const users = await listGroupUsers(ctx, { groupId: req.params.group_id ?? "", query })
      return pageReply(ctx, req, "users", users, viewUser)
    },
  }),
  ...membershipRoutes(
    "/groups/{group_id}/users/{user_id}",
    { create: addGroupUser, check: checkGroupUser, remove: removeGroupUser },
    (req) => ({ groupId: req.params.group_id ?? "", userId: req.params.user_id ?? "" }),
  ),
]
