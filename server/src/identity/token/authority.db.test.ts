// Whatever is done to users, roles, projects and domains: a token does what its user can do now, no more. Random
// changes, each followed by a look at every token; what it should show is worked out from a plain model in memory.
import assert from "node:assert/strict"
import { test } from "node:test"
import { startTestIdentity, type TestIdentity } from "../../../test/identity-cloud.ts"

const seeds = process.env.KUMOI_TEST_SEED ? [Number(process.env.KUMOI_TEST_SEED)] : [1, 2, 3]
const changesEach = 60
/** The newest are looked at after each change; older ones have seen enough. */
const tokensWatched = 15

/** mulberry32: small, and the same everywhere. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

interface Grant {
  actor: string
  target: string
  role: string
  isInherited: boolean
}

/** Names stand for ids. */
interface Model {
  ids: Map<string, string>
  parents: Map<string, string>
  disabled: Set<string>
  members: Set<string>
  grants: Map<string, Grant>
  implied: Set<string>
  epochs: Map<string, number>
  gone: Set<string>
}

const domain = "dom"
const projects = ["p1", "p2", "p1a", "p1b"]
const users = ["u1", "u2"]
const groups = ["g1", "g2"]
const roles = ["r1", "r2", "r3"]

function ancestors(model: Model, place: string): string[] {
  const parent = model.parents.get(place)
  return parent === undefined ? [] : [parent, ...ancestors(model, parent)]
}

/** What the user can do on the project now. */
function oracle(model: Model, user: string, project: string): string[] {
  const above = ancestors(model, project)
  const isOff = (name: string) => model.disabled.has(name) || model.gone.has(name)
  if ([user, project, domain].some(isOff)) return []
  const actors = new Set([
    user,
    ...groups.filter((g) => model.members.has(`${user} ${g}`) && !model.gone.has(g)),
  ])
  const held = new Set<string>()
  for (const grant of model.grants.values()) {
    const reaches = grant.isInherited ? above.includes(grant.target) : grant.target === project
    if (actors.has(grant.actor) && reaches && !model.gone.has(grant.role)) held.add(grant.role)
  }
  for (let size = -1; size !== held.size; ) {
    size = held.size
    for (const pair of model.implied) {
      const [prior = "", role = ""] = pair.split(" ")
      if (held.has(prior) && !model.gone.has(role)) held.add(role)
    }
  }
  return [...held].sort()
}

interface Issued {
  id: string
  user: string
  project: string
  epoch: number
}

for (const seed of seeds) {
  test(`a token never does more than its user can (seed ${seed})`, async (t) => {
    t.diagnostic(`run again with KUMOI_TEST_SEED=${seed}`)
    await using cloud = await startTestIdentity()
    const random = randomFrom(seed)
    const pick = <T>(from: readonly T[]): T => {
      const one = from[Math.floor(random() * from.length)]
      if (one === undefined) throw new Error("nothing to pick from")
      return one
    }
    const admin = await cloud.adminToken()
    const model = await build(cloud, admin)
    const tokens: Issued[] = []
    for (let step = 0; step < changesEach; step++) {
      const what = await change(cloud, admin, model, pick, random)
      for (let i = 0; i < 2; i++) await issue(cloud, model, tokens, pick(users), pick(projects))
      await compare(cloud, admin, model, tokens, `seed ${seed}, step ${step}: ${what}`)
    }
    assert.ok(tokens.length > 10, `only ${tokens.length} tokens were made`)
  })
}

async function build(cloud: TestIdentity, token: string): Promise<Model> {
  const model: Model = {
    ids: new Map(),
    parents: new Map(),
    disabled: new Set(),
    members: new Set(),
    grants: new Map(),
    implied: new Set(),
    epochs: new Map(users.map((u) => [u, 0])),
    gone: new Set(),
  }
  const make = async (kind: string, name: string, more: object = {}) => {
    const reply = await cloud.send("POST", `/${kind}s`, { token, body: { [kind]: { name, ...more } } })
    assert.equal(reply.status, 201, JSON.stringify(reply.body))
    model.ids.set(name, reply.body[kind].id)
  }
  await make("domain", domain)
  const domain_id = model.ids.get(domain)
  for (const name of projects) {
    const parent = name.length > 2 ? name.slice(0, 2) : domain
    model.parents.set(name, parent)
    await make("project", name, { domain_id, parent_id: model.ids.get(parent) })
  }
  for (const name of users) await make("user", name, { domain_id, password: `${name}-0` })
  for (const name of groups) await make("group", name, { domain_id })
  for (const name of roles) await make("role", name)
  return model
}

type Pick = <T>(from: readonly T[]) => T

/** One random change, made in the cloud and, when the cloud took it, in the model. */
async function change(cloud: TestIdentity, token: string, model: Model, pick: Pick, random: () => number) {
  const id = (name: string) => model.ids.get(name) ?? ""
  const send = async (method: string, path: string, body?: unknown) =>
    (await cloud.send(method, path, { token, ...(body === undefined ? {} : { body }) })).status < 300
  const grants = ["grant", "grant", "grant", "grant", "grant", "revoke", "revoke"] as const
  const kinds = [...grants, "member", "member", "implied", "switch", "switch", "password"] as const
  const kind = random() < 0.01 ? "delete role" : pick(kinds)
  switch (kind) {
    case "grant":
    case "revoke": {
      const known = [...model.grants.values()]
      const grant =
        kind === "revoke" && known.length > 0
          ? pick(known)
          : {
              actor: pick([...users, ...groups]),
              target: pick([...projects, domain]),
              role: pick(roles),
              isInherited: random() < 0.4,
            }
      const actor = `${users.includes(grant.actor) ? "users" : "groups"}/${id(grant.actor)}`
      const target = `${grant.target === domain ? "domains" : "projects"}/${id(grant.target)}`
      const path = `/${target}/${actor}/roles/${id(grant.role)}`
      const full = grant.isInherited ? `/OS-INHERIT${path}/inherited_to_projects` : path
      const key = JSON.stringify(grant)
      if (await send(kind === "grant" ? "PUT" : "DELETE", full)) {
        if (kind === "grant") model.grants.set(key, grant)
        else model.grants.delete(key)
      }
      return `${kind} ${key}`
    }
    case "member": {
      const [user, group] = [pick(users), pick(groups)]
      const key = `${user} ${group}`
      const isIn = model.members.has(key)
      if (await send(isIn ? "DELETE" : "PUT", `/groups/${id(group)}/users/${id(user)}`)) {
        if (isIn) model.members.delete(key)
        else model.members.add(key)
      }
      return `${isIn ? "leave" : "join"} ${key}`
    }
    case "implied": {
      const [prior, role] = [pick(roles), pick(roles)]
      const key = `${prior} ${role}`
      const isThere = model.implied.has(key)
      if (await send(isThere ? "DELETE" : "PUT", `/roles/${id(prior)}/implies/${id(role)}`)) {
        if (isThere) model.implied.delete(key)
        else model.implied.add(key)
      }
      return `${isThere ? "no longer " : ""}imply ${key}`
    }
    case "switch": {
      // What is off comes back soon: a cloud that is all off has nothing to find.
      const off = [...model.disabled]
      const name = pick(off.length > 0 && random() < 0.7 ? off : [...projects, ...users, domain])
      const noun = name === domain ? "domain" : users.includes(name) ? "user" : "project"
      const enabled = model.disabled.has(name)
      if (await send("PATCH", `/${noun}s/${id(name)}`, { [noun]: { enabled } })) {
        if (enabled) model.disabled.delete(name)
        else model.disabled.add(name)
        // Tokens of a user who was disabled stay worthless.
        if (noun === "user" && !enabled) model.epochs.set(name, (model.epochs.get(name) ?? 0) + 1)
      }
      return `${enabled ? "enable" : "disable"} ${name}`
    }
    case "password": {
      const user = pick(users)
      if (await send("PATCH", `/users/${id(user)}`, { user: { password: `${user}-0` } })) {
        model.epochs.set(user, (model.epochs.get(user) ?? 0) + 1)
      }
      return `password of ${user}`
    }
    case "delete role": {
      const role = pick(roles)
      if (await send("DELETE", `/roles/${id(role)}`)) model.gone.add(role)
      return `delete ${role}`
    }
  }
}

async function issue(cloud: TestIdentity, model: Model, tokens: Issued[], user: string, project: string) {
  const reply = await cloud.send("POST", "/auth/tokens", {
    body: {
      auth: {
        identity: {
          methods: ["password"],
          password: { user: { id: model.ids.get(user), password: `${user}-0` } },
        },
        scope: { project: { id: model.ids.get(project) } },
      },
    },
  })
  const isExpected = oracle(model, user, project).length > 0
  assert.equal(reply.status === 201, isExpected, `login of ${user} on ${project}: ${reply.status}`)
  if (reply.status !== 201) return
  tokens.push({
    id: String(reply.headers["x-subject-token"]),
    user,
    project,
    epoch: model.epochs.get(user) ?? 0,
  })
}

async function compare(
  cloud: TestIdentity,
  admin: string,
  model: Model,
  tokens: readonly Issued[],
  what: string,
) {
  for (const token of tokens.slice(-tokensWatched)) {
    const isCurrent = token.epoch === model.epochs.get(token.user)
    const wanted = isCurrent ? oracle(model, token.user, token.project) : []
    const reply = await cloud.send("GET", "/auth/tokens?nocatalog", {
      token: admin,
      headers: { "x-subject-token": token.id },
    })
    const have: string[] =
      reply.status === 200 ? reply.body.token.roles.map((r: { name: string }) => r.name).sort() : []
    assert.deepEqual(have, wanted, `${what}: ${token.user} on ${token.project}`)
    const own = await cloud.send("GET", "/auth/projects", { token: token.id })
    assert.equal(own.status, wanted.length > 0 ? 200 : 401, `${what}: ${token.user} with its own token`)
  }
}
