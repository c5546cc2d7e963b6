// Tries every route with ids of another project: in the path, in the body, in the query, and looks at every list.
import assert from "node:assert/strict"
import { randomUUID } from "node:crypto"
import { folderOf } from "../../src/engine/service.ts"
import { eventually } from "../../src/platform/clock/clock.ts"
import { checkSchema } from "../../src/platform/http/schema-check.ts"
import type { TestReply } from "../cloud.ts"
import { type Allowed, idOf, type Named, type ServiceFixture, type Side, type World } from "./fixture.ts"
import type { Probe } from "./routes.ts"
import { difference, fingerprintsOf, rowsThatName, tablesOf } from "./rows.ts"
import { sampleOf, withValue } from "./sample-body.ts"

export interface Matrix {
  world: World
  fixture: ServiceFixture
  /** Whose things are tried. */
  victim: Side
  /** Who tries. */
  stranger: Side
  /** Everything that only the victim may see. */
  marks: readonly string[]
  findings: string[]
  used: Set<Allowed>
}

const refused = [403, 404]
const addFixture = (what: string, service: string) =>
  `${what}: say so in server/src/${folderOf({ name: service })}/testing/foreign-ids.ts (docs/how-to/add-an-operation.md)`

function allowedFor(matrix: Matrix, probe: string, where: string, status?: number): boolean {
  const found = matrix.fixture.allowed.find(
    (each) =>
      each.probe === probe && each.where === where && (each.status === undefined || each.status === status),
  )
  if (found) matrix.used.add(found)
  return found !== undefined
}

function namedParam({ fixture }: Matrix, probe: Probe, param: string): Named {
  const named =
    fixture.params[`${probe.name} ${param}`] ??
    fixture.params[`${probe.path} ${param}`] ??
    fixture.params[param]
  assert.ok(named, addFixture(`${probe.name}: what does the path's {${param}} name?`, fixture.service))
  return named
}

function namedField({ fixture }: Matrix, probe: Probe, field: string): Named {
  const last = field.split(/[.:]/).at(-1)?.replace("[]", "") ?? ""
  const named = fixture.fields[`${probe.name} ${field}`] ?? fixture.fields[field] ?? fixture.fields[last]
  assert.ok(named, addFixture(`${probe.name}: what does ${field} of the body name?`, fixture.service))
  return named
}

/** An id of the same form that nobody has. */
const unknownLike = (id: string) => (/^\d+$/.test(id) ? "999999" : randomUUID())

/** The victim's things for these parameters, the stranger's own for the others. */
async function pathOf(
  matrix: Matrix,
  probe: Probe,
  foreign: ReadonlySet<string>,
  isUnknown = false,
): Promise<string> {
  const { victim, stranger, world } = matrix
  let path = probe.path
  for (const param of probe.params) {
    const named = namedParam(matrix, probe, param)
    const id = async () => {
      if ("word" in named) return named.word
      if (foreign.has(param))
        return isUnknown ? unknownLike(idOf(victim, named.kind)) : idOf(victim, named.kind)
      return (await named.own?.(stranger, world)) ?? idOf(stranger, named.kind)
    }
    path = path.replace(`{${param}}`, encodeURIComponent(await id()))
  }
  return path
}

async function bodyOf(matrix: Matrix, probe: Probe, field?: string): Promise<unknown> {
  const { fixture, world, stranger } = matrix
  const key = [`${probe.name} ${field}`, probe.name].find((name) => name in fixture.bodies)
  if (key !== undefined) {
    const given = fixture.bodies[key]
    return typeof given === "function" ? await given(stranger, world) : given
  }
  if (!probe.schema) {
    assert.ok(probe.bodyIds.length === 0, addFixture(`${probe.name} has no body to try`, fixture.service))
    return undefined
  }
  const sample = sampleOf(probe.schema)
  try {
    checkSchema(probe.schema, sample, "body")
  } catch (error) {
    const why = `${probe.name}: no body could be made from its schema (${String(error)})`
    assert.fail(addFixture(why, fixture.service))
  }
  return sample
}

async function send(
  matrix: Matrix,
  probe: Probe,
  token: string,
  path: string,
  body: unknown,
): Promise<TestReply> {
  const isBytes = probe.isRaw && typeof body === "string"
  return await matrix.world.cloud.cloud.request(probe.method, `${probe.mount}${path}`, {
    token,
    ...(body === undefined ? {} : { body }),
    headers: {
      ...probe.headers,
      ...(isBytes ? { "content-type": "application/octet-stream" } : {}),
      ...matrix.fixture.headers?.[probe.name],
    },
  })
}

const shortly = (reply: TestReply) => `${reply.status} ${JSON.stringify(reply.body).slice(0, 300)}`

/** Addresses repeat what was asked. */
function shownTo(reply: TestReply): string {
  const isUrl = (value: unknown) => typeof value === "string" && /^(https?:\/)?\/\S*$/.test(value)
  return JSON.stringify(reply.body, (_key, value: unknown) => (isUrl(value) ? "" : value)) ?? ""
}

function checkShown(matrix: Matrix, probe: Probe, reply: TestReply, asked: string): void {
  if (reply.status >= 300) return
  const text = shownTo(reply)
  const seen = matrix.marks.filter((mark) => text.includes(mark))
  if (seen.length === 0 || allowedFor(matrix, probe.name, "shown")) return
  const kinds = [...matrix.victim.things].filter(([, id]) => seen.includes(id)).map(([kind]) => kind)
  matrix.findings.push(
    `${probe.name}${asked} shows ${[...new Set(kinds)].join(", ") || seen.join(", ")}: ${text.slice(0, 400)}`,
  )
}

const isShared = ({ victim, stranger }: Matrix, kind: string) => idOf(victim, kind) === idOf(stranger, kind)

type Callers = readonly (readonly [string, string])[]

function callersOf({ fixture, stranger }: Matrix): Callers {
  const project = ["member", stranger.token] as const
  return fixture.service.startsWith("identity") ? [project, ["manager", stranger.domainToken]] : [project]
}

/** Each parameter foreign alone, and all together. */
function foreignSets(params: readonly string[]): Set<string>[] {
  const alone = params.map((param) => new Set([param]))
  return params.length > 1 ? [...alone, new Set(params)] : alone
}

export async function tryPath(matrix: Matrix, probe: Probe): Promise<void> {
  const isRead = probe.method === "GET" || probe.method === "HEAD"
  const foreign = probe.params.filter((param) => {
    const named = namedParam(matrix, probe, param)
    // What both sides have is the operator's: it may be to be read, never to be changed.
    return "kind" in named && !(isRead && isShared(matrix, named.kind))
  })
  if (foreign.length === 0) return
  for (const set of foreignSets(foreign)) {
    const path = await pathOf(matrix, probe, set)
    for (const [who, token] of callersOf(matrix)) {
      const body = await bodyOf(matrix, probe)
      const reply = await send(matrix, probe, token, path, body)
      const where = [...set].join("+")
      if (reply.status === 403 && !matrix.fixture.tellsUnknown)
        await tryUnknown(matrix, probe, { token, foreign: set, body })
      if (refused.includes(reply.status) || allowedFor(matrix, probe.name, where, reply.status)) continue
      matrix.findings.push(`${probe.name} as ${who} with another's ${where}: ${shortly(reply)}`)
    }
  }
}

/** A refusal must not tell that there is such a thing: 403 for another's is 403 for what nobody has. */
async function tryUnknown(
  matrix: Matrix,
  probe: Probe,
  asked: { token: string; foreign: ReadonlySet<string>; body: unknown },
): Promise<void> {
  const path = await pathOf(matrix, probe, asked.foreign, true)
  const reply = await send(matrix, probe, asked.token, path, asked.body)
  const where = `${[...asked.foreign].join("+")} unknown`
  if (reply.status === 403 || allowedFor(matrix, probe.name, where)) return
  matrix.findings.push(`${probe.name}: ${where} is ${reply.status}, another's 403: that shows what there is`)
}

/** Tokens in headers are ids, too. */
export async function tryHeaders(matrix: Matrix, probe: Probe): Promise<void> {
  const { fixture, victim, world } = matrix
  for (const [header, kind] of Object.entries(fixture.foreignHeaders?.[probe.name] ?? {})) {
    for (const [who, token] of callersOf(matrix)) {
      const { status, body } = await world.cloud.cloud.request(probe.method, `${probe.mount}${probe.path}`, {
        token,
        headers: { [header]: idOf(victim, kind) },
      })
      if (!refused.includes(status))
        matrix.findings.push(
          `${probe.name} as ${who} with another's ${kind} as ${header}: ${status} ${JSON.stringify(body)}`,
        )
    }
  }
}

export async function tryBody(matrix: Matrix, probe: Probe): Promise<void> {
  const { fixture, stranger, victim, world } = matrix
  for (const field of [...probe.bodyIds, ...(fixture.moreFields?.[probe.name] ?? [])]) {
    const named = namedField(matrix, probe, field)
    if ("word" in named) continue
    for (const [who, token] of callersOf(matrix)) {
      const ask = async (value: string) => {
        const path = await pathOf(matrix, probe, new Set())
        const body = withValue(await bodyOf(matrix, probe, field), field, value)
        return await send(matrix, probe, token, path, body)
      }
      const reply = await ask(idOf(victim, named.kind))
      const isRefused = [...refused, 400].includes(reply.status)
      if (!isRefused && !allowedFor(matrix, probe.name, field, reply.status))
        matrix.findings.push(
          `${probe.name} as ${who} with another's ${named.kind} as ${field}: ${shortly(reply)}`,
        )
      // A request that is refused for something else proves nothing.
      if (!isRefused) continue
      const own = await ask((await named.own?.(stranger, world)) ?? idOf(stranger, named.kind))
      const isVoid =
        [400, 404].includes(own.status) || (own.status > 400 && /quota/i.test(JSON.stringify(own.body)))
      if (!isVoid || allowedFor(matrix, probe.name, `${field} own`, own.status)) continue
      const why = `${probe.name} as ${who} refuses the caller's own ${named.kind} as ${field}, too (${shortly(own)})`
      matrix.findings.push(addFixture(why, fixture.service))
    }
  }
}

/** What a list may be asked for; unknown parameters are refused or ignored, and that is well. */
function queriesFor(victim: Side): string[] {
  const of = (name: string, kind: string) => `${name}=${encodeURIComponent(idOf(victim, kind))}`
  const owners = ["project_id", "tenant_id", "owner", "target_tenant", "project"].map((name) =>
    of(name, "project"),
  )
  const users = ["user_id", "trustor_user_id", "trustee_user_id", "user"].map((name) => of(name, "user"))
  const things = [
    of("domain_id", "domain"),
    of("device_id", "server"),
    of("network_id", "network"),
    of("security_group_id", "security_group"),
    of("router_id", "router"),
    of("object_id", "network"),
    of("image", "image"),
    of("server", "server"),
    of("instance_uuid", "server"),
    of("scope.project.id", "project"),
    of("scope.domain.id", "domain"),
    of("parent_id", "project"),
    of("id", "port"),
    of("name", "name"),
  ]
  const wide = [
    "all_tenants=1",
    "all_tenants=1&deleted=1",
    "all_projects=1",
    "changes-since=2000-01-01T00:00:00Z",
  ]
  const images = [
    "visibility=all",
    "visibility=shared&member_status=all",
    "member_status=all",
    "include_names&effective",
  ]
  return [...owners, ...users, ...things, ...wide, ...images]
}

export async function tryLists(matrix: Matrix, probe: Probe): Promise<void> {
  if (probe.method !== "GET") return
  const path = await pathOf(matrix, probe, new Set())
  for (const [, token] of callersOf(matrix)) {
    const plain = await send(matrix, probe, token, path, undefined)
    checkShown(matrix, probe, plain, "")
    if (plain.status >= 500) matrix.findings.push(`${probe.name}: ${shortly(plain)}`)
    if (plain.status >= 300) continue
    const ask = async (query: string) => {
      const reply = await send(matrix, probe, token, `${path}?${query}`, undefined)
      checkShown(matrix, probe, reply, `?${query}`)
      if (reply.status >= 500) matrix.findings.push(`${probe.name}?${query}: ${shortly(reply)}`)
    }
    await Promise.all(queriesFor(matrix.victim).map(ask))
    await tryMarkers(matrix, probe, token, path)
  }
}

/** A marker that is refused when nobody has it is refused when it is another's. */
async function tryMarkers(matrix: Matrix, probe: Probe, token: string, path: string): Promise<void> {
  const withMarker = (id: string) =>
    send(matrix, probe, token, `${path}?limit=1&marker=${encodeURIComponent(id)}`, undefined)
  if ((await withMarker(randomUUID())).status < 300) return
  const foreign = [...matrix.victim.things].filter(([kind]) => !isShared(matrix, kind))
  const ask = async ([kind, id]: [string, string]) => {
    const reply = await withMarker(id)
    if (reply.status >= 400 && reply.status < 500) return
    if (allowedFor(matrix, probe.name, `marker ${kind}`, reply.status)) return
    matrix.findings.push(`${probe.name}?marker= takes another's ${kind}: ${shortly(reply)}`)
  }
  await Promise.all(foreign.map(ask))
}

/** What hits the rows of the victim is told with its route. */
export class Watch {
  readonly #matrix: Matrix
  #tables: string[] = []
  /** Of each table as it was read last: only one that has changed is read again. */
  #prints = new Map<string, string>()
  readonly #rows = new Map<string, string[]>()
  #before = new Set<string>()

  constructor(matrix: Matrix) {
    this.#matrix = matrix
  }

  async #read(): Promise<Set<string>> {
    const { world, marks, fixture, victim } = this.#matrix
    const { pool } = world.cloud.cloud.database
    // What a request that was allowed has begun must not be taken for the doing of the next one.
    await eventually("no saga to be under way", async () => {
      const { rowCount } = await pool.query(
        "select from engine.saga where state in ('running', 'unwinding') limit 1",
      )
      return rowCount === 0
    })
    const prints = await fingerprintsOf(pool, this.#tables)
    const changed = this.#tables.filter((name) => prints.get(name) !== this.#prints.get(name))
    this.#prints = prints
    for (const [name, rows] of await rowsThatName(pool, changed, marks)) this.#rows.set(name, rows)
    const rows = [...this.#rows.values()].flat()
    const isOwn = (row: string) =>
      (fixture.ownRows ?? []).some(({ table }) => row.startsWith(`${table} `)) &&
      !row.includes(victim.projectId) &&
      !row.includes(victim.userId)
    return new Set(rows.filter((row) => !isOwn(row)))
  }

  async begin(): Promise<void> {
    this.#tables = await tablesOf(this.#matrix.world.cloud.cloud.database.pool)
    this.#before = await this.#read()
  }

  async check(probe: Probe): Promise<void> {
    const now = await this.#read()
    const changes = difference(this.#before, now)
    this.#before = now
    if (changes.length === 0 || allowedFor(this.#matrix, probe.name, "rows")) return
    this.#matrix.findings.push(
      `${probe.name} changed what is another's:\n    ${changes.map((row) => row.slice(0, 500)).join("\n    ")}`,
    )
  }
}
