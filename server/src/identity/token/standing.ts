// Who a user would be with a token of some scope, without a login and without a token: for people who ask why
// something is allowed or not.
import { sql } from "kysely"
import type { Caller } from "../../platform/auth/caller.ts"
import { internalCtx, type Platform } from "../../platform/context/context.ts"
import { type AssignmentView, listRoleAssignments } from "../assignment/list.ts"
import { findLoginUser, type LoginUser } from "../auth/find-user.ts"
import { found } from "../faults.ts"
import { isNamed } from "../names.ts"
import { projectNoun } from "../project/project.ts"
import { find } from "../read.ts"
import { readTokenFacts } from "./facts.ts"
import type { TokenScope } from "./payload.ts"
import { callerOf, judgeToken } from "./token.ts"

/** Users, projects and domains by id or name; names of users and projects are looked for in a domain. */
export interface StandingQuestion {
  user: string
  userDomain: string
  scope:
    | { kind: "default" }
    | { kind: "system" }
    | { kind: "domain"; domain: string }
    | { kind: "project"; project: string; domain: string }
}

export interface Standing {
  userName: string
  /** `project demo`, `domain Default`, `the system`, `no scope` */
  scope: string
  /** Null: such a token is not to be had, and `refusal` says why. */
  caller: Caller | null
  refusal: string | null
  roles: { name: string; from: string[] }[]
}

interface Named {
  id: string
  name: string
}

export async function findStanding(platform: Platform, asked: StandingQuestion): Promise<Standing> {
  const user = await findUser(platform, asked)
  const { scope, text } = await findScopeOf(platform, asked.scope, user)
  const payload = {
    userId: user.id,
    epoch: user.epoch,
    methods: [],
    scope,
    issuedAtMs: 0,
    expiresAtMs: 0,
    auditIds: [],
    trustId: null,
    applicationCredentialId: null,
    accessTokenId: null,
  }
  const token = judgeToken("", payload, await readTokenFacts(platform.db, payload, platform.clock.now()))
  const isRefused = typeof token === "string"
  return {
    userName: user.name,
    scope: text,
    caller: isRefused ? null : callerOf(token),
    refusal: isRefused ? token : null,
    roles: isRefused || scope.kind === "unscoped" ? [] : await rolesWithSources(platform, user.id, scope),
  }
}

async function findUser(platform: Platform, asked: StandingQuestion): Promise<LoginUser> {
  const byId = await findLoginUser(platform.db, { id: asked.user })
  if (byId) return byId
  const domain = await findDomainByWord(platform, asked.userDomain)
  const byName = await findLoginUser(platform.db, { name: asked.user, domain: { id: domain.id } })
  return found(byName, "user", asked.user)
}

async function findScopeOf(
  platform: Platform,
  asked: StandingQuestion["scope"],
  user: LoginUser,
): Promise<{ scope: TokenScope; text: string }> {
  const onProject = ({ id, name }: Named) => ({
    scope: { kind: "project" as const, id },
    text: `project ${name}`,
  })
  switch (asked.kind) {
    case "system":
      return { scope: { kind: "system" }, text: "the system" }
    case "domain": {
      const { id, name } = await findDomainByWord(platform, asked.domain)
      return { scope: { kind: "domain", id }, text: `domain ${name}` }
    }
    case "project":
      return onProject(await findProjectByWord(platform, asked))
    case "default": {
      const project = user.default_project_id
        ? await find(platform.db, projectNoun, user.default_project_id)
        : null
      return project ? onProject(project) : { scope: { kind: "unscoped" }, text: "no scope" }
    }
  }
}

async function findDomainByWord(platform: Platform, word: string): Promise<Named> {
  const result = await sql<Named>`select id, name from identity.project
    where is_domain and (id = ${word} or ${isNamed("name", word)}) order by id = ${word} desc limit 1`.execute(
    platform.db,
  )
  return found(result.rows[0], "domain", word)
}

async function findProjectByWord(
  platform: Platform,
  asked: { project: string; domain: string },
): Promise<Named> {
  const byId = await find(platform.db, projectNoun, asked.project)
  if (byId && !byId.isDomain) return byId
  const domain = await findDomainByWord(platform, asked.domain)
  const row = await platform.db
    .selectFrom("identity.project")
    .select(["id", "name"])
    .where(isNamed("name", asked.project))
    .where("domain_id", "=", domain.id)
    .where("is_domain", "=", false)
    .executeTakeFirst()
  return found(row, "project", asked.project)
}

async function rolesWithSources(
  platform: Platform,
  userId: string,
  scope: Exclude<TokenScope, { kind: "unscoped" }>,
): Promise<Standing["roles"]> {
  const rows = await listRoleAssignments(internalCtx(platform), {
    userId,
    isEffective: true,
    ...(scope.kind === "project" ? { projectId: scope.id } : {}),
    ...(scope.kind === "domain" ? { domainId: scope.id } : {}),
    ...(scope.kind === "system" ? { isSystem: true } : {}),
  })
  const names = new Map(rows.map(({ role }) => [role.id, role.name]))
  const places = new Map<string, string>()
  for (const { source_id: id } of rows)
    if (id !== null && !places.has(id)) places.set(id, (await find(platform.db, projectNoun, id))?.name ?? id)
  const sources = new Map<string, Set<string>>()
  for (const row of rows) {
    const from = sources.get(row.role.name) ?? new Set()
    sources.set(row.role.name, from.add(sourceOf(row, names, places)))
  }
  return [...sources].map(([name, from]) => ({ name, from: [...from] }))
}

function sourceOf(
  row: AssignmentView,
  roles: ReadonlyMap<string, string>,
  places: ReadonlyMap<string, string>,
): string {
  const { prior_role_id: prior, source_id: source } = row
  if (prior !== null) return `implied by ${roles.get(prior) ?? prior}`
  const whose = row.group ? `of group ${row.group.name}` : "of the user"
  if (source === null) return `assignment ${whose}`
  return `assignment ${whose}, inherited from ${row.source_kind} ${places.get(source) ?? source}`
}
