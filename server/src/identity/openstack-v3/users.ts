import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { queryAll } from "../../platform/http/query.ts"
import { route, type WireRequest } from "../../platform/http/wire.ts"
import type { Fields } from "../../platform/schema/make.ts"
import {
  changeOwnPassword,
  createUser,
  deleteUser,
  getUser,
  listUserGroups,
  listUserProjects,
  listUsers,
  timeText,
  type UserRow,
  updateUser,
} from "../index.ts"
import { admitToNew, admitToOne } from "./admit.ts"
import { viewGroup } from "./groups-view.ts"
import { viewProject } from "./projects-view.ts"
import { extraOf, given, readBoolean, readOldList, requireSameId } from "./read.ts"
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
import { linkTo, listReply, pageReply } from "./view.ts"

const properties = {
  name,
  domain_id: idString,
  default_project_id: nullableId,
  enabled: boolean,
  password: textOrNull,
  description,
  options,
}
const known = ["name", "domain_id", "default_project_id", "enabled", "password", "options", "id", "links"]

function readUser(body: Fields<typeof properties>) {
  return given({
    domainId: body.domain_id,
    defaultProjectId: body.default_project_id,
    isEnabled: readBoolean(body.enabled),
    password: body.password,
    options: body.options,
    extra: extraOf(body, [...known, "password_expires_at", "federated"]),
  })
}

export function viewUser(ctx: Ctx, req: WireRequest, row: UserRow): Record<string, unknown> {
  const expires = row.password_expires_at
  return {
    ...row.extra,
    id: row.id,
    name: row.name,
    domain_id: row.domain_id,
    enabled: row.is_enabled,
    ...(row.default_project_id === null ? {} : { default_project_id: row.default_project_id }),
    // Without a zone, as Keystone shows this one.
    password_expires_at: expires === null ? null : timeText(expires.getTime()).slice(0, -1),
    options: row.options,
    links: linkTo(ctx, req, `users/${row.id}`),
  }
}

export const userRoutes = [
  route({
    method: "GET",
    path: "/users",
    operation: listUsers,
    handler: async (ctx, req) => {
      const list = readOldList(req.query, { name: "text", enabled: "boolean", domain_id: "text" })
      const users = await listUsers(ctx, { ...list, passwordExpires: readExpiry(req.query) })
      return pageReply(ctx, req, "users", users, viewUser)
    },
  }),
  route({
    method: "POST",
    path: "/users",
    operation: createUser,
    body: member("user", properties, { required: ["name"] }),
    admit: admitToNew(createUser, "user"),
    handler: async (ctx, req) => {
      const { user } = req.body
      const row = await createUser(ctx, { name: user.name, ...readUser(user) })
      return { user: viewUser(ctx, req, row) }
    },
  }),
  route({
    method: "GET",
    path: "/users/{user_id}",
    operation: getUser,
    handler: async (ctx, req) => ({
      user: viewUser(ctx, req, await getUser(ctx, { id: req.params.user_id ?? "" })),
    }),
  }),
  route({
    method: "PATCH",
    path: "/users/{user_id}",
    operation: updateUser,
    body: member("user", properties, { minProperties: 1 }),
    admit: admitToOne(updateUser, "user"),
    handler: async (ctx, req) => {
      const id = req.params.user_id ?? ""
      const { user } = req.body
      requireSameId(user, id)
      const row = await updateUser(ctx, { id, ...given({ name: user.name }), ...readUser(user) })
      return { user: viewUser(ctx, req, row) }
    },
  }),
  route({
    method: "DELETE",
    path: "/users/{user_id}",
    operation: deleteUser,
    handler: async (ctx, req) => {
      await deleteUser(ctx, { id: req.params.user_id ?? "" })
    },
  }),
  route({
    method: "POST",
    path: "/users/{user_id}/password",
    operation: changeOwnPassword,
    body: member(
      "user",
      { original_password: text, password: text },
      { required: ["original_password", "password"], isClosed: true },
    ),
    status: 204,
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
    handler: async (ctx, req) => {
      const list = readOldList(req.query, { name: "text" })
      const groups = await listUserGroups(ctx, { userId: req.params.user_id ?? "", ...list })
      return pageReply(ctx, req, "groups", groups, viewGroup)
    },
  }),
  route({
    method: "GET",
    path: "/users/{user_id}/projects",
    operation: listUserProjects,
    handler: async (ctx, req) => {
      const rows = await listUserProjects(ctx, { userId: req.params.user_id ?? "" })
      return listReply(
        ctx,
        req,
        "projects",
        rows.map((row) => viewProject(ctx, req, row)),
      )
    },
  }),
]

const expiry = /^(?:(lt|lte|gt|gte|eq|neq):)?(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)$/

/** `password_expires_at=lt:2026-12-08T22:02:00Z` */
function readExpiry(query: WireRequest["query"]) {
  return queryAll(query, "password_expires_at").map((text) => {
    const match = expiry.exec(text)
    if (!match || Number.isNaN(Date.parse(match[2] ?? ""))) {
      throw invalid(
        "password_expires_at",
        "password_expires_at must be OPERATOR:YYYY-MM-DDTHH:mm:ssZ with lt, lte, gt, gte, eq or neq.",
      )
    }
    // The pattern admits these words only.
    const operator = (match[1] ?? "eq") as "lt" | "lte" | "gt" | "gte" | "eq" | "neq"
    return { operator, time: match[2] ?? "" }
  })
}
