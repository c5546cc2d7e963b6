import { sql } from "kysely"
import { at, count, fewOf, listsOf, type NounFixture, owner, rows } from "../../../test/noun-lists/fixture.ts"
import { accessRuleNoun } from "../application-credential/access-rule.ts"
import { applicationCredentialNoun } from "../application-credential/application-credential.ts"
import { endpointNoun } from "../catalog/endpoint.ts"
import { regionNoun } from "../catalog/region.ts"
import { serviceNoun } from "../catalog/service.ts"
import { credentialNoun } from "../credential/credential.ts"
import { domainNoun } from "../domain/domain.ts"
import { endpointGroupNoun } from "../endpoint-filter/endpoint-group.ts"
import { groupNoun } from "../group/group.ts"
import { limitNoun } from "../limit/limit.ts"
import { registeredLimitNoun } from "../limit/registered-limit.ts"
import { accessTokenNoun } from "../oauth/access-token.ts"
import { consumerNoun } from "../oauth/consumer.ts"
import { requestTokenNoun } from "../oauth/request-token.ts"
import { policyNoun } from "../policy-document/policy.ts"
import { projectNoun } from "../project/project.ts"
import { everyone, type Viewer } from "../read.ts"
import { roleNoun } from "../role/role.ts"
import { trustNoun } from "../trust/trust.ts"
import { userNoun } from "../user/user.ts"

/** With a token of the domain `me`. */
const member: Viewer = { domainId: "me", projectId: null, isOfSystem: false }
const stranger: Viewer = { domainId: null, projectId: null, isOfSystem: false }

/** Ids here are any text; names are taken once in a domain, and some have those of others. */
const id = (noun: string) => sql`${sql.lit(noun)} || g`
const name = sql`case g % 200 when 0 then 'default' else 'name-' || g end`

/** Each tenth has one, ten have the same. */
const tags = sql`case g % 10 when 7 then array['t' || g / 100] else '{}' end`

const ofOne = "it is listed of one user, whose rows are found by an index"

export const nounLists: readonly NounFixture[] = [
  listsOf(domainNoun, {
    admin: everyone,
    rows: [
      sql`insert into identity.project (id, name, is_domain, created_at)
        select distinct on (${owner}) ${owner}, 'domain-' || ${owner}, true, ${at} from ${rows}`,
    ],
  }),
  listsOf(projectNoun, {
    admin: everyone,
    member,
    rows: [
      sql`insert into identity.project (id, name, domain_id, parent_id, tags, created_at)
        select ${id("project")}, ${name}, ${owner}, ${owner}, ${tags}, ${at} from ${rows}`,
    ],
    values: {
      tags: ["t7", "nobody's"],
      tagsAny: ["t7", "nobody's"],
      notTags: ["t7"],
      notTagsAny: ["t7"],
    },
  }),
  listsOf(userNoun, {
    admin: everyone,
    member,
    rows: [
      sql`insert into identity."user" (id, name, domain_id, created_at)
        select ${id("user")}, ${name}, ${owner}, ${at} from ${rows}`,
      sql`insert into identity.password (user_id, hash, expires_at) select ${id("user")}, '', ${at} from ${rows}`,
    ],
    values: { passwordExpires: ["lt:2026-01-01T00:00:09Z", "gt:2030-01-01T00:00:00Z"] },
  }),
  listsOf(groupNoun, {
    admin: everyone,
    member,
    rows: [
      sql`insert into identity."group" (id, name, domain_id, created_at)
        select ${id("group")}, ${name}, ${owner}, ${at} from ${rows}`,
    ],
  }),
  listsOf(roleNoun, {
    admin: everyone,
    rows: [
      sql`insert into identity.role (id, name, domain_id, created_at)
        select ${id("role")}, ${name}, ${owner}, ${at} from ${rows}`,
    ],
  }),
  listsOf(regionNoun, {
    admin: everyone,
    rows: [
      sql`insert into identity.region (id, parent_region_id)
        select ${id("region")}, case when g > 1 then 'region' || (g / 100 + 1) end from ${rows}`,
    ],
  }),
  listsOf(serviceNoun, {
    admin: everyone,
    rows: [
      sql`insert into identity.service (id, type, name, created_at)
        select ${id("service")}, 'type-' || g, ${name}, ${at} from ${rows}`,
    ],
  }),
  listsOf(endpointNoun, {
    admin: everyone,
    rows: [
      sql`insert into identity.endpoint (id, service_id, region_id, interface, url, created_at)
        select ${id("endpoint")}, ${id("service")}, 'region' || (g / 100 + 1), 'public', 'http://e', ${at} from ${rows}`,
    ],
    values: { interface: ["public"] },
  }),
  listsOf(endpointGroupNoun, {
    admin: everyone,
    rows: [
      sql`insert into identity.endpoint_group (id, name, filters)
        select ${id("endpoint group")}, ${name}, '{}' from ${rows}`,
    ],
  }),
  listsOf(policyNoun, {
    admin: everyone,
    rows: [
      sql`insert into identity.policy (id, type, blob) select ${id("policy")}, 'type-' || g % 100, '{}' from ${rows}`,
    ],
  }),
  listsOf(credentialNoun, {
    admin: everyone,
    rows: [
      sql`insert into identity.credential (id, user_id, project_id, type, encrypted_blob, created_at)
        select ${id("credential")}, ${id("user")}, ${id("project")}, case g % 4 when 0 then 'totp' else 'ec2' end, '', ${at}
        from ${rows}`,
    ],
    values: { type: ["ec2", "totp", "nobody's"] },
  }),
  listsOf(registeredLimitNoun, {
    admin: everyone,
    rows: [
      sql`insert into identity.registered_limit (id, service_id, region_id, resource_name, default_limit)
        select ${id("registered limit")}, ${id("service")}, 'region' || (g / 100 + 1), 'resource-' || g, 10 from ${rows}`,
    ],
  }),
  listsOf(limitNoun, {
    admin: everyone,
    member,
    stranger,
    rows: [
      sql`insert into identity."limit" (id, registered_limit_id, project_id, domain_id, resource_limit)
        select ${id("limit")}, ${id("registered limit")}, case when g % 2 = 0 then ${id("project")} end,
          case when g % 2 = 1 then ${owner} end, 3 from ${rows}`,
    ],
  }),
  listsOf(trustNoun, {
    admin: everyone,
    rows: [
      sql`insert into identity.trust (id, trustor_user_id, trustee_user_id, is_impersonation, created_at)
        select ${id("trust")}, ${id("user")}, 'user' || (${sql.lit(count)} + 1 - g), false, ${at} from ${rows}`,
      sql`insert into identity.trust_role (trust_id, role_id) select ${id("trust")}, ${id("role")} from ${rows}`,
    ],
  }),
  listsOf(consumerNoun, {
    admin: everyone,
    rows: [sql`insert into identity.oauth_consumer (id, secret) select ${id("consumer")}, 's' from ${rows}`],
  }),
  fewOf(accessRuleNoun, ofOne),
  fewOf(applicationCredentialNoun, ofOne),
  fewOf(accessTokenNoun, ofOne),
  fewOf(requestTokenNoun, "nobody lists it"),
]
