import { rare } from "../../api/openstack/shape.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { queryAll } from "../../platform/http/query.ts"
import { route, type WireRequest } from "../../platform/http/wire.ts"
import type { ListQuery } from "../../platform/noun/list.ts"
import {
  changeOwnPassword,
  createUser,
  deleteUser,
  getUser,
  groupNoun,
  listUserGroups,
  listUserProjects,
  listUsers,
  timeText,
  updateUser,
  userNoun,
} from "../index.ts"
import { admitToNew } from "./admit.ts"
import { viewGroup } from "./groups-view.ts"
import { viewProject } from "./projects-view.ts"
import { readList } from "./read.ts"
import { resourceRoutes, viewOf } from "./resource.ts"
import {
  boolean,
  description,
  idString,
  member,
  name,
  nullableId,
  options,
  text,
  textOrNull,
} from "./schema.ts"
import { listRoute } from "./shown-routes.ts"
import { listQuery, pageOf } from "./told.ts"
import { pageReply } from "./view.ts"

export const viewUser = viewOf(
  userNoun,
  ({ id }) => `users/${id}`,
  ({ defaultProjectId, passwordExpiresAt: expires }) => ({
    default_project_id: defaultProjectId ?? undefined,
    // Without a zone, as Keystone shows this one.
    password_expires_at: expires === null ? null : timeText(expires.getTime()).slice(0, -1),
  }),
  { default_project_id: rare(text), password_expires_at: textOrNull },
)

export const userRoutes = [
  ...resourceRoutes({
    noun: userNoun,
    singular: "user",
    view: viewUser,
    properties: {
      name,
      domain_id: idString,
      default_project_id: nullableId,
      enabled: boolean,
      password: textOrNull,
      description,
      options,
    },
    required: ["name"],
    known: ["federated"],
    admit: admitToNew(createUser, "user"),
    list: listUsers,
    readList: readUserList,
    get: getUser,
    create: createUser,
    update: updateUser,
    remove: deleteUser,
  }),
  route({
    method: "POST",
    path: "/users/{user_id}/password",
    operation: changeOwnPassword,
    status: 204,
    body: member(
      "user",
      { original_password: text, password: text },
      { required: ["original_password", "password"], isClosed: true },
    ),
    handler: async (ctx, req) => {
      const { original_password, password } = req.body.user
      const userId = req.params.user_id ?? ""
      const { remoteAddress } = req
      await changeOwnPassword(ctx, { userId, originalPassword: original_password, password, remoteAddress })
    },
  }),
  route({
    method: "GET",
    path: "/users/{user_id}/groups",
    operation: listUserGroups,
    told: { query: listQuery(groupNoun, ["name"]), ...pageOf("groups", viewGroup.shows) },
    handler: async (ctx, req) => {
      const query = readList(req.query, groupNoun, ["name"])
      const groups = await listUserGroups(ctx, { userId: req.params.user_id ?? "", query })
      return pageReply(ctx, req, "groups", groups, viewGroup)
    },
  }),
  listRoute("/users/{user_id}/projects", listUserProjects, (req) => ({ userId: req.params.user_id ?? "" }), [
    "projects",
    viewProject,
  ]),
]

const expiry = /^(?:(?:lt|lte|gt|gte|eq|neq):)?(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)$/

/** `password_expires_at=lt:2026-12-08T22:02:00Z`, as often as one likes. */
function readUserList(query: WireRequest["query"]): ListQuery {
  const list = readList(query, userNoun)
  const passwordExpires = queryAll(query, "password_expires_at")
  for (const text of passwordExpires) {
    if (Number.isNaN(Date.parse(expiry.exec(text)?.[1] ?? ""))) {
      throw invalid(
        "password_expires_at",
        "password_expires_at must be OPERATOR:YYYY-MM-DDTHH:mm:ssZ with lt, lte, gt, gte, eq or neq.",
      )
    }
  }
  return passwordExpires.length === 0 ? list : { ...list, filters: { ...list.filters, passwordExpires } }
}
