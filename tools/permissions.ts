// docs/reference/permissions.md: who may do what by the default rules. The table is not written but found out: each
// rule is asked for callers of every role and scope, about things that are nearer and nearer to them.
import { apisOf } from "../server/src/engine/service.ts"
import type { Caller } from "../server/src/platform/auth/caller.ts"
import { type PolicyDefault, PolicyEngine } from "../server/src/platform/policy/policy.ts"
import { type Check, namedRules, parseRule } from "../server/src/platform/policy/rule.ts"
import { services } from "../server/src/services.ts"

export interface Persona {
  name: string
  caller: Caller
}

const anybody: Caller = {
  userId: "own-user",
  userName: "own-user",
  userDomainId: "own-domain",
  userDomainName: "own-domain",
  projectId: null,
  projectName: null,
  projectDomainId: null,
  projectDomainName: null,
  isAdminProject: true,
  domainId: null,
  domainName: null,
  systemScope: null,
  roles: [],
  roleIds: [],
  token: null,
}
const onProject = { projectId: "own-project", projectDomainId: "own-domain" }
const onDomain = { domainId: "own-domain" }
const onSystem = { systemScope: "all" } as const

/** Each role with those that it implies. */
const rolesOf = {
  admin: ["admin", "manager", "member", "reader"],
  manager: ["manager", "member", "reader"],
  member: ["member", "reader"],
  reader: ["reader"],
  service: ["service"],
}

const persona = (role: keyof typeof rolesOf, scope: Partial<Caller>, where: string): Persona => ({
  name: where ? `${where} ${role}` : role,
  caller: { ...anybody, ...scope, roles: rolesOf[role] },
})

/** Of a project first: those are what most people are. */
export const personas: readonly Persona[] = [
  persona("admin", onProject, ""),
  persona("manager", onProject, ""),
  persona("member", onProject, ""),
  persona("reader", onProject, ""),
  persona("service", onProject, ""),
  persona("admin", onDomain, "domain"),
  persona("manager", onDomain, "domain"),
  persona("reader", onDomain, "domain"),
  persona("admin", onSystem, "system"),
  persona("reader", onSystem, "system"),
]

/** How near a thing is to the caller, the farthest first; who may at one distance may at the nearer ones. */
const reaches = ["all", "domain", "project", "own"] as const
type Reach = (typeof reaches)[number] | "–"

/** What a rule wants to know of the target, and what would satisfy the checks that compare it with a word. */
interface Asked {
  key: string
  words: string[]
  mayBeNone: boolean
}

type Fact = "project" | "domain" | "user" | "word"

function factOf({ key, words }: Asked): Fact {
  if (words.length > 0) return "word"
  if (/(^|[._:])(project_id|owner|member_id|target_tenant|project\.id)$/.test(key)) return "project"
  if (/domain(_id|\.id)$/.test(key)) return "domain"
  if (/user(_id|\.id)$/.test(key)) return "user"
  throw new Error(`what is ${key} of a target? Say it in tools/permissions.ts`)
}

function askedBy(check: Check, find: (name: string) => Check | undefined, isNegated = false): Asked[] {
  switch (check.kind) {
    case "and":
    case "or":
      return check.parts.flatMap((part) => askedBy(part, find, isNegated))
    case "not":
      return askedBy(check.part, find, !isNegated)
    case "rule": {
      const other = find(check.name)
      return other ? askedBy(other, find, isNegated) : []
    }
    case "leaf": {
      const [, left = "", key] = /^(.*):%\((.*)\)s$/.exec(check.text) ?? []
      if (key === undefined) return []
      const word = /^'(.*)'$/.exec(left)?.[1]
      return [{ key, words: word === undefined ? [] : [word], mayBeNone: left === "None" && !isNegated }]
    }
    default:
      return []
  }
}

/** A thing at some distance; `isSpecial`: shared, public or what else a rule makes an exception for. */
function targetAt(reach: Reach, asked: readonly Asked[], isSpecial: boolean): Record<string, unknown> {
  const isNear = {
    domain: reach !== "all",
    project: reach === "project" || reach === "own",
    user: reach === "own",
  }
  const target: Record<string, unknown> = {}
  for (const one of asked) {
    const same = asked.filter(({ key }) => key === one.key)
    const words = same.flatMap(({ words }) => words)
    const fact = factOf({ ...one, words })
    if (fact === "word") target[one.key] = isSpecial ? words[0] : "none-of-these"
    else if (isSpecial && same.some(({ mayBeNone }) => mayBeNone)) target[one.key] = null
    else target[one.key] = `${isNear[fact] ? "own" : "foreign"}-${fact}`
  }
  return target
}

export interface Permission {
  policy: PolicyDefault
  /** By name of the persona: `all`, `domain`, `project`, `own`, `–`, with `*` where it depends on more. */
  may: ReadonlyMap<string, string>
}

/** Every rule of a service that requests ask, for every persona. */
export function permissionsOf(service: string): Permission[] {
  const engine = new PolicyEngine()
  const checks = new Map<string, Check>()
  for (const { name, policies } of services) {
    engine.declare(policies, name)
    for (const policy of policies) checks.set(policy.name, parseRule(policy.check))
  }
  const find = (name: string) => checks.get(name)
  return requestRules(service).map((policy) => {
    const asked = askedBy(parseRule(policy.check), find)
    const reachOf = (caller: Caller, isSpecial: boolean): Reach =>
      reaches.find((reach) => engine.isAllowed(caller, policy.name, targetAt(reach, asked, isSpecial))) ?? "–"
    const may = personas.map(({ name, caller }): [string, string] => [
      name,
      cellOf(reachOf(caller, false), reachOf(caller, true)),
    ])
    return { policy, may: new Map(may) }
  })
}

function cellOf(plain: Reach, special: Reach): string {
  if (plain === special) return plain
  const isWider = plain === "–" || (special !== "–" && reaches.indexOf(special) < reaches.indexOf(plain))
  if (!isWider) return `${plain}*`
  return plain === "–" ? `${special}*` : `${plain}, ${special}*`
}

/** Without those that only serve other rules. */
function requestRules(service: string): PolicyDefault[] {
  const all = services
  const helps = new Set(all.flatMap((s) => s.policies.flatMap((p) => namedRules(parseRule(p.check)))))
  const policies = all.find(({ name }) => name === service)?.policies ?? []
  return policies.filter(({ name, scopes }) => scopes !== undefined || !helps.has(name))
}

/** Rule → requests that ask it. */
function requestsByRule(): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const api of apisOf(services)) {
    // The same once more at another address.
    if (api.service === "compute" && api.version === "/v2") continue
    for (const { policy, method, path } of api.routes) {
      if (typeof policy === "string" || method === "HEAD") continue
      for (const rule of policy)
        found.set(rule, [...(found.get(rule) ?? []), `${method} ${api.version}${path}`])
    }
  }
  return found
}

const introduction = `# Permissions

Who may do what by the default policy rules, which have oslo.policy's names. \`policy.yaml\` in the data directory
changes single rules: see [how to change the policy](../how-to/change-policy.md). \`./kumoi policy explain\` shows why
a user of a running cloud may do something or not.

The columns are roles in a project, then (\`domain …\`) in a domain, then (\`system …\`) on the system; a role includes
those that it implies. A column that a service has no use for is left out: all its cells would be –. The cells were
found by asking each rule:

- **all**: whosever it is
- **domain**: what belongs to the caller's own domain
- **project**: what belongs to the caller's own project
- **own**: only what belongs to the callers themselves
- **–**: never
- **\\***: for things that the rule makes an exception for, such as shared, public or external ones; or it depends on
  something else that the rule names
`

type Table = (head: readonly string[], rows: readonly (readonly string[])[]) => string

export function permissionsPage(table: Table): string {
  const requests = requestsByRule()
  const withRules = services.filter(({ policies }) => policies.length > 0)
  const parts = withRules.map(({ name, policies }) => {
    const permissions = permissionsOf(name)
    const columns = personas.filter((p) => permissions.some(({ may }) => may.get(p.name) !== "–"))
    const matrix = permissions.map(({ policy, may }) => [
      `\`${policy.name}\``,
      ...columns.map((p) => may.get(p.name) ?? ""),
    ])
    const rules = policies.map((p) => [
      `\`${p.name}\``,
      p.check === "" || p.check === "@" ? "anyone" : `\`${p.check}\``,
      p.scopes?.join(", ") ?? "any",
      p.description,
      (requests.get(p.name) ?? []).map((r) => `\`${r}\``).join(" "),
    ])
    return [
      `## ${name}\n`,
      `${table(["Rule", ...columns.map((p) => p.name)], matrix)}\n`,
      `### Rules of ${name}\n`,
      `${table(["Rule", "Default", "Token scope", "What it allows", "Requests"], rules)}\n`,
    ].join("\n")
  })
  return `${introduction}\n${parts.join("\n")}`
}
