// Identity under many: tokens, a storm of logins, and what 100,000 role assignments cost.
import { type ScryptOptions, scrypt } from "node:crypto"
import { setTimeout as delay } from "node:timers/promises"
import { promisify } from "node:util"
import { call, issueToken, logIn, passwordBody, type Session, tokenBody } from "./client.ts"
import { BenchCloud } from "./cloud.ts"
import type { Held } from "./held.ts"
import {
  addWideUser,
  fillIdentity,
  openStatements,
  projectCount,
  projectId,
  readBackendPid,
  readHashCost,
  type Statements,
  userCount,
  userId,
  userName,
  wideProjectCount,
  wideProjectId,
  wideUserId,
} from "./identity-data.ts"
import { type LoadRequest, load } from "./load.ts"
import { get, measure, measuresOf } from "./measure.ts"
import { readWaitMs } from "./processes.ts"
import { median, percentile, type Report } from "./report.ts"

export interface IdentityOptions {
  seconds: number
  repeat: number
}

const tokensPath = "/identity/v3/auth/tokens"
const jsonHeaders = { "content-type": "application/json" }
const checkP99Ms = 2

export async function measureIdentity(report: Report, held: Held, options: IdentityOptions): Promise<void> {
  const own = held.scope()
  const cloud = await BenchCloud.prepare(own, { hypervisor: "fake", network: "fake" })
  await cloud.start()
  const statements = openStatements(own, cloud)
  const admin = await logIn(cloud.url, "admin", cloud.passwords.admin, "admin")
  await measureTokens(report, cloud, admin, statements, options)
  await measureStorm(report, cloud, admin, options)
  await fillIdentity(statements)
  await measureLists(report, cloud, admin, options)
  await measureStatements(report, statements)
  await measureUncached(report, cloud, admin)
  await own[Symbol.asyncDispose]()
}

function post(body: string): LoadRequest {
  return { method: "POST", path: tokensPath, headers: jsonHeaders, body }
}

function validation(admin: Session, token: string): LoadRequest {
  return {
    method: "GET",
    path: tokensPath,
    headers: { "x-auth-token": admin.token, "x-subject-token": token },
  }
}

async function measureTokens(
  report: Report,
  cloud: BenchCloud,
  admin: Session,
  statements: Statements,
  { seconds, repeat }: IdentityOptions,
): Promise<void> {
  const demo = await logIn(cloud.url, "demo", cloud.passwords.demo, "demo")
  const validate = validation(admin, demo.token)
  const targets = { 16: { perSecond: 2_500 } }
  await measure(report, "token validation", cloud, () => validate, { seconds, targets })
  const byToken = post(tokenBody(demo.token, demo.projectId))
  await measure(report, "token by token", cloud, () => byToken, { seconds, okStatus: [201] })
  const byPassword = post(passwordBody("demo", cloud.passwords.demo, "demo"))
  await measure(report, "token by password", cloud, () => byPassword, { seconds, okStatus: [201] })
  await measureHash(report, cloud, statements, 4 * repeat)
}

/** Turn by turn, so that both see the same machine: a token by password, and the hash in it by itself. */
async function measureHash(
  report: Report,
  cloud: BenchCloud,
  statements: Statements,
  count: number,
): Promise<void> {
  const hash = promisify<string, string, number, ScryptOptions, Buffer>(scrypt)
  const { ln, r, p } = await readHashCost(statements)
  const cost = { N: 2 ** ln, r, p, maxmem: 256 * r * 2 ** ln }
  const body = passwordBody("demo", cloud.passwords.demo, "demo")
  const tokenMs: number[] = []
  const hashMs: number[] = []
  for (let i = 0; i < count; i++) {
    const startedMs = performance.now()
    await issueToken(cloud.url, body)
    const issuedMs = performance.now()
    await hash("password", `salt ${i}`, 32, cost)
    tokenMs.push(issuedMs - startedMs)
    hashMs.push(performance.now() - issuedMs)
  }
  report.addRuns("token by password, turn by turn with the hash", tokenMs, "ms")
  report.addRuns(`the hash by itself (scrypt, N=2^${ln}, r=${r}, p=${p})`, hashMs, "ms")
  const share = (100 * median(hashMs)) / median(tokenMs)
  report.add("share of the hash in a token by password", [{ name: "", value: share, unit: "%" }])
}

const storming = 32
const pacedPerSecond = 200

/** At a fixed pace: how long a validation takes for those who just send one now and then. */
async function measureStorm(
  report: Report,
  cloud: BenchCloud,
  admin: Session,
  { seconds }: IdentityOptions,
): Promise<void> {
  const validate = validation(admin, admin.token)
  const paced = async (what: string) => {
    const sample = await load({
      url: cloud.url,
      concurrency: 16,
      durationMs: 2 * seconds * 1000,
      request: () => validate,
      paceMs: 1000 / pacedPerSecond,
    })
    const { measures, ...more } = measuresOf(sample)
    report.add(`validation at ${pacedPerSecond}/s, ${what}`, measures, more)
    return sample.p99Ms
  }
  const quietMs = await paced("nothing else")
  const login = post(passwordBody("demo", cloud.passwords.demo, "demo"))
  const [storm, stormyMs] = await Promise.all([
    load({
      url: cloud.url,
      concurrency: storming,
      durationMs: 2.4 * seconds * 1000,
      warmUpMs: 0,
      okStatus: [201],
      request: () => login,
    }),
    paced(`${storming} logins in flight`),
  ])
  const { measures, ...more } = measuresOf(storm)
  report.add(`the logins meanwhile, c=${storming}`, measures, more)
  report.add("validation p99 with logins in flight against without", [
    { name: "", value: stormyMs / quietMs, unit: "x" },
  ])
}

async function measureLists(
  report: Report,
  cloud: BenchCloud,
  admin: Session,
  { seconds }: IdentityOptions,
): Promise<void> {
  const path = "/identity/v3/role_assignments"
  const one = userId(7)
  const lists = {
    "of a user (100)": `${path}?user.id=${one}`,
    "of a user, effective, with names": `${path}?user.id=${one}&effective&include_names`,
    "of a project (1,000)": `${path}?scope.project.id=${projectId(7)}`,
    "of a project, effective, with names": `${path}?scope.project.id=${projectId(7)}&effective&include_names`,
    "all (the first 10,000 of 100,000)": path,
    "all, effective": `${path}?effective`,
  }
  for (const [what, at] of Object.entries(lists)) {
    const options = { seconds, concurrencies: [1], warmUpMs: 0 }
    await measure(report, `role assignments ${what}`, cloud, get(admin, at), options)
  }
}

const checks = 4_000

interface Question {
  text: string
  of: (i: number) => [user: string, project: string]
  target?: number
}

const anyUser = (i: number): [string, string] => [
  userId(wrapped(i * 7, userCount)),
  projectId(wrapped(i * 13, projectCount)),
]
const wideUser = (i: number): [string, string] => [
  wideUserId,
  wideProjectId(wrapped(i * 13, wideProjectCount)),
]
const effectiveRoles = "select role_id from identity.effective_role($1, 'project', $2)"
const tokenFacts = "select identity.token_facts($1, 'project', $2, null, null, 'none', now())"

const questions: { [what: string]: Question } = {
  // What the way to PostgreSQL and back takes on this machine at this moment.
  "an empty statement": { text: "select $1::text, $2::text", of: anyUser },
  "effective roles, the statement alone": { text: effectiveRoles, of: anyUser, target: checkP99Ms },
  "effective roles of a user with 10,000 assignments": {
    text: effectiveRoles,
    of: wideUser,
    target: checkP99Ms,
  },
  "all facts of a token, the statement alone": { text: tokenFacts, of: anyUser, target: checkP99Ms },
}

/** The questions as PostgreSQL answers them, on one connection that has asked them before. */
async function measureStatements(report: Report, statements: Statements): Promise<void> {
  await addWideUser(statements)
  const backend = await readBackendPid(statements)
  for (const [what, { text, of, target }] of Object.entries(questions)) {
    const times: number[] = []
    const workTimes: number[] = []
    for (let i = -100; i < checks; i++) {
      const waitedMs = readWaitMs(backend) + readWaitMs(process.pid)
      const startedMs = performance.now()
      await statements.query({ name: what.slice(0, 60), text, values: of(i) })
      const tookMs = performance.now() - startedMs
      if (i < 0) continue
      times.push(tookMs)
      workTimes.push(tookMs - (readWaitMs(backend) + readWaitMs(process.pid) - waitedMs))
    }
    report.add(what, [
      { name: "median", value: median(times), unit: "ms" },
      {
        name: "p99",
        value: percentile(times, 0.99),
        unit: "ms",
        ...(target === undefined ? {} : { target }),
      },
      { name: "p99 without waits", value: percentile(workTimes, 0.99), unit: "ms" },
    ])
  }
}

function wrapped(i: number, length: number): number {
  return ((i % length) + length) % length
}

/** Users and projects all over the table; a login for each user, so not too many of them. */
const loginCount = 20

/** What a service pays that asks for a token which this cloud's process has not seen: who, where, and as what. */
async function measureUncached(report: Report, cloud: BenchCloud, admin: Session): Promise<void> {
  const tokens: string[] = []
  for (let i = 0; i < loginCount; i++) {
    const user = userName(wrapped(i * 53, userCount))
    const { token } = await issueToken(cloud.url, passwordBody(user, cloud.passwords.demo))
    for (let j = 0; j < projectCount; j++) {
      tokens.push((await issueToken(cloud.url, tokenBody(token, projectId(j)))).token)
    }
  }
  const request = (i: number) => validation(admin, tokens[wrapped(i * 487, tokens.length)] ?? "")
  const forget = () => forgetTokens(admin)
  const all = { requestsMax: tokens.length, durationMs: 120_000, warmUpMs: 0 }
  await forget()
  // Each connection to the database plans at its first question.
  await load({ url: cloud.url, concurrency: 16, request, ...all })
  const options = { ...all, seconds: 120, before: forget, targets: { 1: { p99Ms: checkP99Ms } } }
  await measure(report, "validation of a token not seen before", cloud, request, options)
}

/** Any change of identity empties what the processes remember of tokens. */
async function forgetTokens(admin: Session): Promise<void> {
  const region = { region: { description: `changed at ${performance.now()}` } }
  await call(admin, "PATCH", "/identity/v3/regions/RegionOne", region)
  // The word goes through the database.
  await delay(500)
  await call(admin, "GET", "/identity/v3/regions/RegionOne")
}
