import { randomUUID } from "node:crypto"
import {
  idOf,
  passwordOf,
  type ServiceFixture,
  type Side,
  secretName,
  thing,
  type World,
  word,
} from "../../../test/foreign-ids/fixture.ts"

const v3 = "/identity/v3"
const hex = () => randomUUID().replaceAll("-", "")

/** What limits are of. */
const resource = "things"

/** The operator's own: there once, whoever asks. */
async function operatorThings(world: World) {
  const get = async (path: string, key: string) =>
    (await world.make(world.admin, "GET", `${v3}${path}`))[key][0].id
  const once = async (path: string, key: string, plural: string, body: object) => {
    const found = (await world.make(world.admin, "GET", `${v3}${path}`))[plural]
    if (found[0]) return found[0].id
    return (await world.make(world.admin, "POST", `${v3}${path}`, { [key]: body }))[key].id
  }
  const service = await get("/services", "services")
  const roles = (await world.make(world.admin, "GET", `${v3}/roles`)).roles
  const registered = await world.make(world.admin, "GET", `${v3}/registered_limits`)
  const limit =
    registered.registered_limits.find((each: { resource_name: string }) => each.resource_name === resource) ??
    (
      await world.make(world.admin, "POST", `${v3}/registered_limits`, {
        registered_limits: [{ service_id: service, resource_name: resource, default_limit: 5 }],
      })
    ).registered_limits[0]
  return {
    service,
    region: await get("/regions", "regions"),
    endpoint: await get("/endpoints", "endpoints"),
    policy: await once("/policies", "policy", "policies", { type: "t", blob: "b" }),
    consumer: await once("/OS-OAUTH1/consumers", "consumer", "consumers", { description: "d" }),
    endpoint_group: await once("/OS-EP-FILTER/endpoint_groups", "endpoint_group", "endpoint_groups", {
      name: "g",
      filters: { interface: "public" },
    }),
    registered_limit: limit.id,
    role_of_all: roles.find((role: { name: string }) => role.name === "member").id,
  }
}

async function make(side: Side, world: World): Promise<void> {
  const { things, projectId, userId, domainId, token } = side
  const name = secretName(side)
  const operator = await operatorThings(world)
  for (const [kind, id] of Object.entries(operator)) things.set(kind, id)
  const admin = async (path: string, key: string, body: object) =>
    (await world.make(world.admin, "POST", `${v3}${path}`, { [key]: body }))[key].id as string
  const own = async (path: string, key: string, body: object) =>
    (await world.make(token, "POST", `${v3}${path}`, { [key]: body }))[key]

  things.set("group", await admin("/groups", "group", { name, domain_id: domainId }))
  things.set("role", await admin("/roles", "role", { name, domain_id: domainId }))
  things.set("friend", await admin("/users", "user", { name: `${name}-friend`, domain_id: domainId }))
  const member = things.get("role_of_all")
  const groupPath = `${v3}/groups/${things.get("group")}/users/${userId}`
  await world.make(world.admin, "PUT", groupPath)
  const subject = `${v3}/projects/${projectId}/groups/${things.get("group")}/roles/${member}`
  await world.make(world.admin, "PUT", subject)

  const rule = { service: "compute", path: "/v2.1/servers", method: "GET" }
  const roles = [{ id: member }]
  const credential = await own(`/users/${userId}/application_credentials`, "application_credential", {
    name,
    roles,
    access_rules: [rule],
  })
  things.set("application_credential", credential.id)
  things.set("access_rule", credential.access_rules[0].id)
  const trust = {
    trustor_user_id: userId,
    trustee_user_id: things.get("friend"),
    project_id: projectId,
    roles,
  }
  things.set("trust", (await own("/OS-TRUST/trusts", "trust", { ...trust, impersonation: false })).id)
  const blob = JSON.stringify({ access: hex(), secret: hex() })
  things.set(
    "credential",
    (await own("/credentials", "credential", { user_id: userId, type: "cert", blob })).id,
  )
  const ec2 = await world.make(token, "POST", `${v3}/users/${userId}/credentials/OS-EC2`, {
    tenant_id: projectId,
  })
  things.set("ec2_credential", ec2.credential.access)
  const limit = { service_id: operator.service, resource_name: resource, resource_limit: 3 }
  const limits = { limits: [{ ...limit, project_id: projectId }] }
  things.set("limit", (await world.make(world.admin, "POST", `${v3}/limits`, limits)).limits[0].id)
  await world.make(world.admin, "PUT", `${v3}/domains/${domainId}/config`, {
    config: { identity: { driver: "sql" }, ldap: { url: `ldap://${name}.example` } },
  })
  await makeOauthTokens(side, world)
  // A token is a thing as well: who holds it may ask about it, nobody else.
  things.set("token", token)
}

/** As rows: a consumer's signatures are the business of other tests. */
async function makeOauthTokens(side: Side, world: World): Promise<void> {
  const { pool } = world.cloud.cloud.database
  const [request, access] = [hex(), hex()]
  const of = [idOf(side, "consumer"), side.projectId]
  await pool.query(
    `insert into identity.oauth_request_token (id, consumer_id, secret, project_id, expires_at)
     values ($1, $2, 's', $3, now() + interval '1 hour')`,
    [request, ...of],
  )
  await pool.query(
    `insert into identity.oauth_access_token (id, consumer_id, secret, project_id, authorizing_user_id, role_ids)
     values ($1, $2, 's', $3, $4, array[$5])`,
    [access, ...of, side.userId, idOf(side, "role_of_all")],
  )
  side.things.set("request_token", request)
  side.things.set("access_token", access)
}

const aRole = (side: Side) => idOf(side, "role_of_all")

const login = (side: Side) => ({
  auth: {
    identity: {
      methods: ["password"],
      password: { user: { id: side.userId, password: passwordOf(side) } },
    },
    scope: {},
  },
})

const identity: ServiceFixture = {
  service: "identity",
  tellsUnknown: "Keystone looks for the target before it decides, and says 404 first",
  make,
  params: {
    domain_id: thing("domain"),
    project_id: thing("project"),
    user_id: thing("user"),
    group_id: thing("group"),
    role_id: thing("role"),
    prior_role_id: thing("role"),
    implied_role_id: thing("role"),
    credential_id: thing("credential"),
    "/users/{user_id}/credentials/OS-EC2/{credential_id} credential_id": thing("ec2_credential"),
    application_credential_id: thing("application_credential"),
    access_rule_id: thing("access_rule"),
    trust_id: thing("trust"),
    registered_limit_id: thing("registered_limit"),
    limit_id: thing("limit"),
    policy_id: thing("policy"),
    endpoint_id: thing("endpoint"),
    service_id: thing("service"),
    region_id: thing("region"),
    endpoint_group_id: thing("endpoint_group"),
    consumer_id: thing("consumer"),
    request_token_id: thing("request_token"),
    access_token_id: thing("access_token"),
    value: word("tag"),
    group: word("ldap"),
    option: word("url"),
  },
  fields: {
    domain_id: thing("domain"),
    project_id: thing("project"),
    tenant_id: thing("project"),
    default_project_id: thing("project"),
    parent_id: thing("project"),
    user_id: thing("user"),
    trustor_user_id: thing("user"),
    trustee_user_id: thing("user"),
    service_id: thing("service"),
    region_id: thing("region"),
    parent_region_id: thing("region"),
    "trust.roles[].id": thing("role", aRole),
    "application_credential.roles[].id": thing("role", aRole),
    "application_credential.access_rules[].id": thing("access_rule"),
    "application_credential.roles[].domain_id": word("of a role that is named instead"),
    "roles[].id": thing("role", aRole),
    "domain.explicit_domain_id": word("the id that a new domain shall have"),
    "region.id": word("the id that a new region shall have"),
    "auth.scope.project": word("an object"),
    "auth.scope.project.id": thing("project"),
    "auth.scope.project.domain.id": thing("domain"),
    "auth.scope.domain.id": thing("domain"),
    "auth.scope.OS-TRUST:trust.id": thing("trust"),
  },
  foreignHeaders: Object.fromEntries(
    ["GET", "HEAD", "DELETE"].map((method) => [`${method} /auth/tokens`, { "x-subject-token": "token" }]),
  ),
  bodies: {
    "POST /auth/tokens": login,
    "POST /auth/tokens auth.scope.project.domain.id": (side: Side) => {
      const body = login(side)
      return { auth: { ...body.auth, scope: { project: { name: secretName(side) } } } }
    },
    "POST /users": (side: Side) => ({ user: { name: hex(), domain_id: side.domainId } }),
    "PATCH /users/{user_id}": { user: { description: "taken" } },
    "POST /groups": (side: Side) => ({ group: { name: hex(), domain_id: side.domainId } }),
    "PATCH /groups/{group_id}": { group: { description: "taken" } },
    "POST /projects": (side: Side) => ({ project: { name: hex(), domain_id: side.domainId } }),
    "PATCH /projects/{project_id}": { project: { description: "taken" } },
    "POST /roles": (side: Side) => ({ role: { name: hex(), domain_id: side.domainId } }),
    "PATCH /roles/{role_id}": { role: { description: "taken" } },
    "PATCH /regions/{region_id}": { region: { description: "taken" } },
    "PATCH /endpoints/{endpoint_id}": { endpoint: { name: "taken" } },
    "POST /users/{user_id}/application_credentials": () => ({ application_credential: { name: hex() } }),
    "POST /credentials": (side: Side) => ({
      credential: { user_id: side.userId, type: "cert", blob: hex() },
    }),
    "PATCH /credentials/{credential_id}": { credential: { blob: "taken" } },
    "POST /OS-TRUST/trusts": (side: Side) => ({
      trust: {
        trustor_user_id: side.userId,
        trustee_user_id: idOf(side, "friend"),
        project_id: side.projectId,
        impersonation: false,
        roles: [{ id: idOf(side, "role_of_all") }],
      },
    }),
    "PUT /OS-OAUTH1/authorize/{request_token_id}": (side: Side) => ({
      roles: [{ id: idOf(side, "role_of_all") }],
    }),
    "POST /limits": (side: Side) => ({
      limits: [{ service_id: idOf(side, "service"), resource_name: resource, resource_limit: 1 }],
    }),
    "POST /endpoints": (side: Side) => ({
      endpoint: { service_id: idOf(side, "service"), interface: "public", url: "http://x.example" },
    }),
  },
  allowed: [
    ...["project.id", "project.domain.id", "domain.id", "OS-TRUST:trust.id"].map((scope) => ({
      probe: "POST /auth/tokens",
      where: `auth.scope.${scope}`,
      status: 401,
      why: "who may not is not let in, whatever there is",
    })),
    {
      probe: "POST /users/{user_id}/password",
      where: "user_id",
      status: 401,
      why: "the old password is what lets one in here, and is wrong",
    },
    ...["POST /users", "PATCH /users/{user_id}"].flatMap((probe) => [
      { probe, where: "user.default_project_id", why: "a wish, as with Keystone: it gives no role there" },
      { probe, where: "rows", why: "the stranger's own user has the wish" },
    ]),
    { probe: "POST /OS-TRUST/trusts", where: "trust.trustee_user_id", why: "one says whom one trusts" },
    { probe: "POST /OS-TRUST/trusts", where: "rows", why: "the stranger's own trust names whom it trusts" },
    {
      probe: "POST /users/{user_id}/application_credentials",
      where: "application_credential.project_id",
      why: "it is always the token's project, as with Keystone",
    },
  ],
}

const identityV2: ServiceFixture = {
  service: "identity-v2",
  tellsUnknown: "Keystone looks for the target before it decides, and says 404 first",
  make: async () => {},
  params: { token_id: thing("token") },
  fields: {
    userId: thing("user"),
    tenantId: thing("project"),
    "auth.token.id": word("whoever holds a token is its owner"),
  },
  bodies: {
    "POST /tokens": (side: Side) => ({
      auth: { passwordCredentials: { userId: side.userId, password: passwordOf(side) } },
    }),
  },
  allowed: ["auth.passwordCredentials.userId", "auth.tenantId"].map((where) => ({
    probe: "POST /tokens",
    where,
    status: 401,
    why: "who may not is not let in, whatever there is",
  })),
}

export const foreignIds = [identity, identityV2]
