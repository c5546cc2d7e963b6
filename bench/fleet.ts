// A cloud with as many simulated hosts as are wanted: what boots, lists and the hosts' own reports cost it.
import { setTimeout as delay } from "node:timers/promises"
import { bootByTens, noteBoots, prepareServers, serversOfRequest } from "./boots.ts"
import { call, logIn, type Session } from "./client.ts"
import { BenchCloud } from "./cloud.ts"
import type { Held } from "./held.ts"
import { readMemory, readProcessorMsByName } from "./processes.ts"
import { median, percentile, type Report } from "./report.ts"

export interface FleetOptions {
  hosts: number
}

const burst = 1_000
const serversMost = 10_000
/** What the API gives in one page at the most. */
const pageSize = 1_000
const pagesSeconds = 10

export async function measureFleet(report: Report, held: Held, { hosts }: FleetOptions): Promise<void> {
  const own = held.scope()
  const cloud = await BenchCloud.prepare(own, { hypervisor: "fake", network: "fake" })
  await cloud.start()
  const begunMs = performance.now()
  await cloud.addFleet(hosts)
  report.add(`${hosts} hosts added and up`, [
    { name: "", value: (performance.now() - begunMs) / 1_000, unit: "s" },
  ])
  await measureReports(report, cloud, hosts)
  const admin = await logIn(cloud.url, "admin", cloud.passwords.admin, "admin")
  await call(admin, "PUT", `/network/v2.0/quotas/${admin.projectId}`, { quota: { port: -1 } })
  const body = await prepareServers(admin)
  const boots = { admin, body }
  let made = await bootByTens(boots, serversOfRequest, "first")
  const before = await readProcessorMsByName(cloud)
  const startedMs = performance.now()
  made += await bootByTens(boots, burst, "burst")
  const seconds = (performance.now() - startedMs) / 1_000
  const after = await readProcessorMsByName(cloud)
  noteBoots(
    report,
    `${burst} servers to ACTIVE, ${serversOfRequest} a request, among ${hosts} hosts`,
    burst,
    {
      seconds,
      before,
      after,
    },
  )
  while (made < serversMost)
    made += await bootByTens(boots, Math.min(burst, serversMost - made), `fill-${made}`)
  await measurePages(report, admin, made)
  await noteMemory(report, cloud, `${hosts} hosts, ${made} servers`)
  await own[Symbol.asyncDispose]()
}

const reportsSeconds = 30
/** Each host reports so often. */
const reportEverySeconds = 10

/** While nobody asks for anything, what the control plane does is to hear hosts that say that they live. */
async function measureReports(report: Report, cloud: BenchCloud, hosts: number): Promise<void> {
  await noteMemory(report, cloud, `${hosts} hosts`)
  const before = await readProcessorMsByName(cloud)
  const startedMs = performance.now()
  await delay(reportsSeconds * 1_000)
  const after = await readProcessorMsByName(cloud)
  const tookMs = performance.now() - startedMs
  const share = (name: string) => ((after.get(name) ?? 0) - (before.get(name) ?? 0)) / tookMs
  const perSecond = hosts / reportEverySeconds
  report.add(`reports of ${hosts} hosts, ${perSecond} a second`, [
    { name: "processor of kumoi", value: share("kumoi") * 100, unit: "%" },
    { name: "of PostgreSQL", value: share("postgres") * 100, unit: "%" },
    { name: "a whole processor of kumoi would bear", value: perSecond / share("kumoi"), unit: "/s" },
  ])
}

async function noteMemory(report: Report, cloud: BenchCloud, when: string): Promise<void> {
  const names = ["kumoi", "postgres"]
  const memory = await readMemory(cloud)
  report.add(
    `memory with ${when}`,
    names.map((name) => ({
      name,
      value: memory.find((one) => one.name === name)?.pssMb ?? Number.NaN,
      unit: "MB",
    })),
  )
}

/** Page after page, as a client that wants them all. */
async function measurePages(report: Report, admin: Session, servers: number): Promise<void> {
  const times: number[] = []
  const wholes: number[] = []
  const endMs = performance.now() + pagesSeconds * 1_000
  while (performance.now() < endMs || wholes.length < 3) {
    const startedMs = performance.now()
    let marker = ""
    for (let seen = 0; seen < servers; ) {
      const pageMs = performance.now()
      const path = `/compute/v2.1/servers/detail?limit=${pageSize}${marker}`
      const page = await call<{ servers: { id: string }[] }>(admin, "GET", path)
      times.push(performance.now() - pageMs)
      if (page.servers.length === 0) throw new Error(`the list ends after ${seen} servers`)
      seen += page.servers.length
      marker = `&marker=${page.servers.at(-1)?.id}`
    }
    wholes.push(performance.now() - startedMs)
  }
  report.add(`a page of ${pageSize} of ${servers} servers in detail`, [
    { name: "median", value: median(times), unit: "ms" },
    { name: "p95", value: percentile(times, 0.95), unit: "ms" },
    { name: "all", value: median(wholes) / 1_000, unit: "s" },
  ])
}
