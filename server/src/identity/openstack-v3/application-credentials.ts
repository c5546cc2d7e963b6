import { type Static, Type } from "typebox"
import { each, one as oneOf, rare } from "../../api/openstack/shape.ts"
import { queryText } from "../../platform/http/query.ts"
import { route, type WireRequest } from "../../platform/http/wire.ts"
import { anyObject, object, word } from "../../platform/schema/make.ts"
import {
  accessRuleNoun,
  applicationCredentialNoun,
  createApplicationCredential,
  deleteAccessRule,
  deleteApplicationCredential,
  getAccessRule,
  getApplicationCredential,
  listAccessRules,
  listApplicationCredentials,
} from "../index.ts"
import { given, readList } from "./read.ts"
import { readerOf, showsLike, viewOf } from "./resource.ts"
import { description, idOrName, member, name, strictBoolean, text, textOrNull } from "./schema.ts"
import { thingRoute } from "./shown-routes.ts"
import { listOf, listQuery, pageOf, textQuery } from "./told.ts"
import { listReply, pageReply } from "./view.ts"

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

const notes = each("domain_id description", textOrNull)
const roleShown = Type.Object({ id: text, name: text, ...notes, options: anyObject })
const ruleShown = Type.Object({ id: text, ...each("service path method", textOrNull) })
const viewApplicationCredential = viewOf(
  applicationCredentialNoun,
  ({ id, userId }) => `users/${userId}/application_credentials/${id}`,
  ({ accessRules }) => ({ access_rules: accessRules.length > 0 ? accessRules : undefined }),
  { roles: Type.Array(roleShown), access_rules: rare(Type.Array(ruleShown)) },
)
const { shows } = viewApplicationCredential
const madeCredential = showsLike(viewApplicationCredential, "NewApplicationCredential", {
  secret: textOrNull,
})

const reader = readerOf({ noun: applicationCredentialNoun })

function readBody(userId: string, { application_credential: body }: Static<typeof createBody>) {
  const roles = body.roles?.map(({ id, name, domain_id }) =>
    given({ id, name, domainId: domain_id ?? undefined }),
  )
  return { ...reader.create(body), ...given({ roles }), userId }
}

function one(req: WireRequest) {
  return { userId: req.params.user_id ?? "", id: req.params.application_credential_id ?? "" }
}

export const applicationCredentialRoutes = [
  route({
    method: "GET",
    path: "/users/{user_id}/application_credentials",
    operation: listApplicationCredentials,
    told: { query: textQuery("name"), ...listOf("application_credentials", shows) },
    handler: async (ctx, req) => {
      const wanted = given({ userId: req.params.user_id ?? "", name: queryText(req.query, "name") })
      const rows = await listApplicationCredentials(ctx, wanted)
      return listReply(ctx, req, "application_credentials", rows, viewApplicationCredential)
    },
  }),
  route({
    method: "POST",
    path: "/users/{user_id}/application_credentials",
    operation: createApplicationCredential,
    body: createBody,
    told: oneOf("application_credential", madeCredential),
    admit: (ctx, req) =>
      createApplicationCredential.admit(ctx, { userId: req.params.user_id ?? "", name: "" }),
    handler: async (ctx, req) => {
      const userId = req.params.user_id ?? ""
      const made = await createApplicationCredential(ctx, readBody(userId, req.body))
      const view = viewApplicationCredential(ctx, req, made.credential)
      // The only time that the secret is shown.
      return { application_credential: { ...view, secret: made.secret } }
    },
  }),
  thingRoute(
    "/users/{user_id}/application_credentials/{application_credential_id}",
    getApplicationCredential,
    one,
    ["application_credential", viewApplicationCredential],
  ),
  route({
    method: "DELETE",
    path: "/users/{user_id}/application_credentials/{application_credential_id}",
    operation: deleteApplicationCredential,
    handler: (ctx, req) => deleteApplicationCredential(ctx, one(req)),
  }),
]

const viewRule = viewOf(accessRuleNoun, ({ id, userId }) => `users/${userId}/access_rules/${id}`)

function oneRule(req: WireRequest) {
  return { userId: req.params.user_id ?? "", id: req.params.access_rule_id ?? "" }
}

export const accessRuleRoutes = [
  route({
    method: "GET",
    path: "/users/{user_id}/access_rules",
    operation: listAccessRules,
    told: { query: listQuery(accessRuleNoun), ...pageOf("access_rules", viewRule.shows) },
    handler: async (ctx, req) => {
      const query = readList(req.query, accessRuleNoun)
      const rules = await listAccessRules(ctx, { userId: req.params.user_id ?? "", query })
      return pageReply(ctx, req, "access_rules", rules, viewRule)
    },
  }),
  thingRoute("/users/{user_id}/access_rules/{access_rule_id}", getAccessRule, oneRule, [
    "access_rule",
    viewRule,
  ]),
  route({
    method: "DELETE",
    path: "/users/{user_id}/access_rules/{access_rule_id}",
    operation: deleteAccessRule,
    handler: (ctx, req) => deleteAccessRule(ctx, oneRule(req)),
  }),
]
