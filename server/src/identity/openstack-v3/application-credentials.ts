import { type Static, Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { queryText } from "../../platform/http/query.ts"
import { route, type WireRequest } from "../../platform/http/wire.ts"
import { object, word } from "../../platform/schema/make.ts"
import {
  type AccessRuleRow,
  type ApplicationCredential,
  createApplicationCredential,
  deleteAccessRule,
  deleteApplicationCredential,
  getAccessRule,
  getApplicationCredential,
  listAccessRules,
  listApplicationCredentials,
} from "../index.ts"
import { given, readOldList } from "./read.ts"
import { description, idOrName, member, name, strictBoolean, text, textOrNull } from "./schema.ts"
import { linkTo, listReply, pageReply } from "./view.ts"

const properties = {
  name,
  description,
  secret: textOrNull,
  expires_at: textOrNull,
  project_id: text,
  roles: Type.Array(object({ id: text, name: text, domain_id: textOrNull }, [], idOrName)),
  unrestricted: strictBoolean,
  access_rules: Type.Array(
    object({
      id: text,
      service: Type.String({ minLength: 1, maxLength: 64 }),
      path: Type.String({ maxLength: 255, pattern: "^/" }),
      method: word(["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"]),
    }),
  ),
}
const createBody = member("application_credential", properties, { required: ["name"], isClosed: true })

function viewApplicationCredential(
  ctx: Ctx,
  req: WireRequest,
  row: ApplicationCredential,
): Record<string, unknown> {
  return {
    id: row.id,
    name: row.name,
    description: row.description,
    user_id: row.user_id,
    project_id: row.project_id,
    // Without a zone, as Keystone shows this one.
    expires_at: row.expires_at_text,
    roles: row.roles,
    unrestricted: row.is_unrestricted,
    ...(row.access_rules.length > 0 ? { access_rules: row.access_rules } : {}),
    links: linkTo(ctx, req, `users/${row.user_id}/application_credentials/${row.id}`),
  }
}

function readBody({ application_credential: body }: Static<typeof createBody>) {
  return given({
    name: body.name,
    description: body.description,
    secret: body.secret,
    expiresAt: body.expires_at,
    roles: body.roles?.map((role) =>
      given({ id: role.id, name: role.name, domainId: role.domain_id ?? undefined }),
    ),
    isUnrestricted: body.unrestricted,
    accessRules: body.access_rules,
  })
}

function one(req: WireRequest) {
  return { userId: req.params.user_id ?? "", id: req.params.application_credential_id ?? "" }
}

export const applicationCredentialRoutes = [
  route({
    method: "GET",
    path: "/users/{user_id}/application_credentials",
    operation: listApplicationCredentials,
    handler: async (ctx, req) => {
      const wanted = given({ userId: req.params.user_id ?? "", name: queryText(req.query, "name") })
      const rows = await listApplicationCredentials(ctx, wanted)
      return listReply(
        ctx,
        req,
        "application_credentials",
        rows.map((row) => viewApplicationCredential(ctx, req, row)),
      )
    },
  }),
  route({
    method: "POST",
    path: "/users/{user_id}/application_credentials",
    operation: createApplicationCredential,
    body: createBody,
    admit: (ctx, req) =>
      createApplicationCredential.admit(ctx, { userId: req.params.user_id ?? "", name: "" }),
    handler: async (ctx, req) => {
      const userId = req.params.user_id ?? ""
      const made = await createApplicationCredential(ctx, {
        userId,
        ...readBody(req.body),
      })
      const view = viewApplicationCredential(ctx, req, made.credential)
      // The only time that the secret is shown.
      return { application_credential: { ...view, secret: made.secret } }
    },
  }),
  route({
    method: "GET",
    path: "/users/{user_id}/application_credentials/{application_credential_id}",
    operation: getApplicationCredential,
    handler: async (ctx, req) => ({
      application_credential: viewApplicationCredential(
        ctx,
        req,
        await getApplicationCredential(ctx, one(req)),
      ),
    }),
  }),
  route({
    method: "DELETE",
    path: "/users/{user_id}/application_credentials/{application_credential_id}",
    operation: deleteApplicationCredential,
    handler: async (ctx, req) => {
      await deleteApplicationCredential(ctx, one(req))
    },
  }),
]

function viewRule(ctx: Ctx, req: WireRequest, row: AccessRuleRow): Record<string, unknown> {
  const { id, service, path, method } = row
  return { id, service, path, method, links: linkTo(ctx, req, `users/${row.user_id}/access_rules/${id}`) }
}

function oneRule(req: WireRequest) {
  return { userId: req.params.user_id ?? "", id: req.params.access_rule_id ?? "" }
}

export const accessRuleRoutes = [
  route({
    method: "GET",
    path: "/users/{user_id}/access_rules",
    operation: listAccessRules,
    handler: async (ctx, req) => {
      const list = readOldList(req.query, { service: "text", path: "text", method: "text" })
      const rules = await listAccessRules(ctx, { userId: req.params.user_id ?? "", ...list })
      return pageReply(ctx, req, "access_rules", rules, viewRule)
    },
  }),
  route({
    method: "GET",
    path: "/users/{user_id}/access_rules/{access_rule_id}",
    operation: getAccessRule,
    handler: async (ctx, req) => ({
      access_rule: viewRule(ctx, req, await getAccessRule(ctx, oneRule(req))),
    }),
  }),
  route({
    method: "DELETE",
    path: "/users/{user_id}/access_rules/{access_rule_id}",
    operation: deleteAccessRule,
    handler: async (ctx, req) => {
      await deleteAccessRule(ctx, oneRule(req))
    },
  }),
]
