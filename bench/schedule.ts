// The scheduler and placement with many hosts: rows only, no process is behind a host and no HTTP before a decision.

import { statementsOf } from "../server/test/count-statements.ts"
import { openTestDatabase, startTestPostgres, type TestDatabase } from "../server/test/database.ts"
import "../server/src/compute/config.ts"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { selectCandidates } from "../server/src/compute/schedule/candidates.ts"
import { askedBy } from "../server/src/compute/schedule/choose.ts"
import { explainServer } from "../server/src/compute/schedule/explain-server.ts"
import { schedulerOf } from "../server/src/compute/schedule/plugins.ts"
import { requestOf } from "../server/src/compute/schedule/request.ts"
import { scheduleServer } from "../server/src/compute/schedule/schedule.ts"
import type { Server } from "../server/src/compute/server/server.ts"
import { insertServers } from "../server/src/compute/server/store.ts"
import { insertHosts } from "../server/src/compute/testing/hosts.ts"
import { newServer } from "../server/src/compute/testing/new-server.ts"
import { findCandidates } from "../server/src/placement/candidate/search.ts"
import type { Question } from "../server/src/placement/candidate/solve.ts"
import { type Config, loadConfig } from "../server/src/platform/config/config.ts"
import type { Platform } from "../server/src/platform/context/context.ts"
import { transact } from "../server/src/platform/db/database.ts"
import { newUuid } from "../server/src/platform/ids/ids.ts"
import type { Held } from "./held.ts"
import { processorMsOf, processorMsWithChildren } from "./processes.ts"
import { median, percentile, type Report } from "./report.ts"

export interface ScheduleBenchOptions {
  seconds: number
  repeat: number
}

const counts = [1, 100, 1_000, 10_000]
const serversPerHost = 5
const atOnce = 16
const largest = 10_000

export async function measureSchedule(
  report: Report,
  held: Held,
  options: ScheduleBenchOptions,
): Promise<void> {
  const own = held.scope()
  // As a cloud has it: a decision that is lost with the power is none.
  const postgres = await startTestPostgres({ isDurable: true })
  own.defer(() => postgres[Symbol.asyncDispose]())
  const pid = Number(readFileSync(join(postgres.dataDir, "postmaster.pid"), "utf8").split("\n")[0])
  for (const count of counts) {
    const database = await openTestDatabase({ server: postgres.url, poolMax: atOnce })
    own.defer(() => database[Symbol.asyncDispose]())
    const platform = platformOf(database)
    const server = await fill(database, count)
    const readCpuMs = () => ({ node: processorMsOf(process.pid), database: processorMsWithChildren(pid) })
    await measureDecisions(report, { platform, server, count, seconds: options.seconds, readCpuMs })
    await measureCandidates(report, platform, server, count, options)
  }
  await own[Symbol.asyncDispose]()
}

function platformOf({ db }: TestDatabase): Platform {
  const base = { dataDir: "", publicUrl: "", region: "", host: "" } as Config
  // Decisions look at no more of a platform.
  return { db, config: loadConfig({ env: {}, base }) } as unknown as Platform
}

/** Hosts that differ in what is free, with servers on them; a server that asks for a place. */
async function fill({ db, pool }: TestDatabase, count: number): Promise<Server> {
  // The only host is so large that it takes all that is asked of it.
  const times = count === 1 ? 1_000 : 1
  await insertHosts(db, { count, vcpus: 256 * times, ramMib: 524_288 * times, diskGib: 8_000 * times })
  await pool.query("update placement.inventory set used = (total * random() * 0.5)::bigint")
  const [server] = await transact(db, (tx) => insertServers(tx, [newServer()]))
  if (!server) throw new Error("no server was made")
  await pool.query(
    `insert into compute.server (id, project_id, user_id, name, hostname, vm_state, host, flavor, flavor_id, vcpus,
       ram_mib, reservation_id)
     select gen_random_uuid(), 'p', 'u', 's', 's', 'active', h.name, '{}', '1', 1, 1, 'r'
     from compute.host h, generate_series(1, $1::int)`,
    [serversPerHost],
  )
  await pool.query("vacuum analyze")
  return server
}

interface Decisions {
  platform: Platform
  server: Server
  count: number
  seconds: number
  /** Of this process, which decides, and of PostgreSQL: what does not grow because others use the machine. */
  readCpuMs: () => { node: number; database: number }
}

async function measureDecisions(report: Report, decisions: Decisions): Promise<void> {
  const { platform, server, count, seconds, readCpuMs } = decisions
  const options = { forcedHost: null, excludedHosts: [] }
  const decide = () =>
    transact(platform.db, (tx) => scheduleServer(platform, tx, { ...server, id: newUuid() }, options))
  for (const concurrency of [1, atOnce]) {
    const before = readCpuMs()
    const { perSecond, times, all } = await repeatFor(seconds, concurrency, decide)
    const after = readCpuMs()
    const target = count === largest && concurrency === atOnce ? { target: 500 } : {}
    report.add(`a decision among ${count} hosts, c=${concurrency}`, [
      { name: "", value: perSecond, unit: "/s", ...target },
      { name: "median", value: median(times), unit: "ms" },
      { name: "p95", value: percentile(times, 0.95), unit: "ms" },
      { name: "cpu", value: (after.node - before.node) / all, unit: "ms" },
      { name: "PostgreSQL's", value: (after.database - before.database) / all, unit: "ms" },
    ])
  }
  const statements = (await statementsOf(decide)).filter((text) => !/^begin|unawaited/.test(text))
  report.add(`ways to the database of a decision among ${count} hosts`, [
    { name: "", value: statements.length, unit: "x" },
  ])
}

async function measureCandidates(
  report: Report,
  platform: Platform,
  server: Server,
  count: number,
  { repeat, seconds }: ScheduleBenchOptions,
): Promise<void> {
  const scheduler = await schedulerOf(platform.config)
  const { order } = scheduler
  const request = await transact(platform.db, (tx) =>
    requestOf(platform, tx, server, { forcedHost: null, excludedHosts: [] }),
  )
  const { narrowing, needs } = askedBy(scheduler, request)
  const { resources } = request
  const limit = platform.config.compute.schedule.candidatePage
  const page = { resources, order, after: null, limit, narrowing, needs }
  const { times } = await repeatFor(seconds, 1, () => selectCandidates(platform, platform.db, page))
  report.add(`a page of candidates among ${count} hosts`, [
    { name: "median", value: median(times), unit: "ms" },
    { name: "p95", value: percentile(times, 0.95), unit: "ms", target: 50 },
  ])
  const answered = await repeatFor(seconds, 1, () => findCandidates(platform.db, novaQuestion(resources)))
  report.add(`allocation candidates (at most ${novaLimit}) among ${count} hosts`, [
    { name: "median", value: median(answered.times), unit: "ms" },
    { name: "p95", value: percentile(answered.times, 0.95), unit: "ms", target: 50 },
  ])
  const explained: number[] = []
  for (let i = 0; i < repeat; i++) {
    const startedMs = performance.now()
    await explainServer(platform, server.id)
    explained.push(performance.now() - startedMs)
  }
  report.addRuns(`a refusal explained for ${count} hosts`, explained, "ms")
}

/** What Nova's scheduler asks placement for at the most. */
const novaLimit = 1_000

function novaQuestion(resources: Readonly<Record<string, number>>): Question {
  const group = { suffix: "", requiredTraits: [], forbiddenTraits: [], memberOf: [], notMemberOf: [] }
  return {
    groups: [{ ...group, resources, inTreeOf: null }],
    ...{ isIsolated: false, rootRequired: [], rootForbidden: [], sameSubtrees: [] },
    ...{ knowsTrees: true, limit: novaLimit },
  }
}

/** So many at a time, each after the one before; the first tenth is not counted. */
async function repeatFor(
  seconds: number,
  concurrency: number,
  work: () => Promise<unknown>,
): Promise<{ perSecond: number; times: number[]; all: number }> {
  const begunMs = performance.now()
  const countedMs = begunMs + seconds * 100
  const endMs = begunMs + seconds * 1_000
  const times: number[] = []
  let all = 0
  const worker = async () => {
    for (let startedMs = performance.now(); startedMs < endMs; startedMs = performance.now()) {
      await work()
      all += 1
      if (startedMs >= countedMs) times.push(performance.now() - startedMs)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  return { perSecond: times.length / ((performance.now() - countedMs) / 1_000), times, all }
}
