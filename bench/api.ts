// The API of a cloud with fake drivers: what the control plane itself costs.
import { setTimeout as delay } from "node:timers/promises"
import { type Boots, bootByTens, noteBoots, prepareServers, serversOfRequest } from "./boots.ts"
import { call, logIn, passwordBody, type Session } from "./client.ts"
import { BenchCloud } from "./cloud.ts"
import type { Held } from "./held.ts"
import { get, measure } from "./measure.ts"
import { readProcessorMsByName } from "./processes.ts"
import { measureReference } from "./reference.ts"
import type { Report } from "./report.ts"

export interface ApiOptions {
  seconds: number
  repeat: number
}

export async function measureApi(report: Report, held: Held, options: ApiOptions): Promise<void> {
  const referencePerSecond = await measureReference(report, held, options)
  const own = held.scope()
  const cloud = await BenchCloud.prepare(own, { hypervisor: "fake", network: "fake" })
  await cloud.start()
  const admin = await logIn(cloud.url, "admin", cloud.passwords.admin, "admin")
  const validationsPerSecond = await measureTokens(report, cloud, admin, options)
  report.add("bare answers in the time of one token validation, c=16", [
    { name: "", value: referencePerSecond / validationsPerSecond, unit: "x" },
  ])
  const { seconds } = options
  await measure(report, "image list", cloud, get(admin, "/image/v2/images"), { seconds })
  await measure(report, "flavor list", cloud, get(admin, "/compute/v2.1/flavors/detail"), { seconds })
  await measure(report, "network list", cloud, get(admin, "/network/v2.0/networks"), { seconds })
  await measureNetworkCreate(report, cloud, admin, options)
  await measureServers(report, cloud, admin, options)
  await own[Symbol.asyncDispose]()
}

async function measureTokens(
  report: Report,
  cloud: BenchCloud,
  admin: Session,
  { seconds }: ApiOptions,
): Promise<number> {
  const body = passwordBody("demo", cloud.passwords.demo, "demo")
  const headers = { "content-type": "application/json" }
  const issue = { method: "POST", path: "/identity/v3/auth/tokens", headers, body } as const
  // With the time of the hash apart: see the part identity.
  await measure(report, "token by password", cloud, () => issue, { seconds, okStatus: [201] })
  const demo = await logIn(cloud.url, "demo", cloud.passwords.demo, "demo")
  const validation = {
    method: "GET",
    path: "/identity/v3/auth/tokens",
    headers: { "x-auth-token": admin.token, "x-subject-token": demo.token },
  } as const
  const targets = { 16: { perSecond: 2_500 } }
  const samples = await measure(report, "token validation", cloud, () => validation, { seconds, targets })
  return samples.at(-1)?.perSecond ?? Number.NaN
}

const networksMax = 400

async function measureNetworkCreate(
  report: Report,
  cloud: BenchCloud,
  admin: Session,
  { seconds }: ApiOptions,
): Promise<void> {
  await call(admin, "PUT", `/network/v2.0/quotas/${admin.projectId}`, { quota: { network: -1, port: -1 } })
  const headers = { "x-auth-token": admin.token, "content-type": "application/json" }
  const request = (i: number) =>
    ({
      method: "POST",
      path: "/network/v2.0/networks",
      headers,
      body: JSON.stringify({ network: { name: `load-${i}` } }),
    }) as const
  const options = { seconds, okStatus: [201], requestsMax: networksMax, warmUpMs: 0 }
  await measure(report, "network create", cloud, request, options)
}

async function measureServers(
  report: Report,
  cloud: BenchCloud,
  admin: Session,
  { seconds, repeat }: ApiOptions,
): Promise<void> {
  const body = await prepareServers(admin)
  const list = async (servers: number, perSecond?: number) => {
    const targets = perSecond === undefined ? {} : { 16: { perSecond } }
    const detail = get(admin, "/compute/v2.1/servers/detail")
    await measure(report, `server detail list, ${servers} servers`, cloud, detail, { seconds, targets })
  }
  await list(0)
  const first = await createServers(admin, body, 1, "first")
  const ones: number[] = []
  const onesMax = Math.min(3 * repeat, 40)
  for (let i = 0; i < onesMax; i++) ones.push(await createServers(admin, body, 1, `one-${i}`))
  const note = `the very first took ${first.toFixed(0)} ms`
  report.addRuns("server create to ACTIVE, one", ones, "ms", { target: 40, note })
  await createServers(admin, body, 50 - 1 - onesMax, "fill")
  await list(50, 400)
  const bursts: number[] = []
  for (let i = 0; i < repeat; i++) bursts.push((await createServers(admin, body, 50, `burst-${i}`)) / 1000)
  report.addRuns("server create to ACTIVE, 50 at once", bursts, "s", { target: 1.5 })
  for (let made = 50 * (repeat + 1); made < 1000; made += 50)
    await createServers(admin, body, 50, `many-${made}`)
  await list(1000)
  await measureByTens(report, cloud, { admin, body })
}

const byTens = 1_000

async function measureByTens(report: Report, cloud: BenchCloud, boots: Boots): Promise<void> {
  await call(boots.admin, "PUT", `/network/v2.0/quotas/${boots.admin.projectId}`, { quota: { port: -1 } })
  const before = await readProcessorMsByName(cloud)
  const startedMs = performance.now()
  await bootByTens(boots, byTens, "tens")
  const seconds = (performance.now() - startedMs) / 1_000
  const after = await readProcessorMsByName(cloud)
  noteBoots(report, `${byTens} servers to ACTIVE, ${serversOfRequest} a request`, byTens, {
    seconds,
    before,
    after,
  })
}

const activeWithinMs = 120_000

/** Milliseconds until all are ACTIVE, asked as a client would: one short list after the other. */
async function createServers(
  session: Session,
  body: Record<string, unknown>,
  count: number,
  name: string,
): Promise<number> {
  const startedMs = performance.now()
  const make = () => call(session, "POST", "/compute/v2.1/servers", { server: { ...body, name } })
  await Promise.all(Array.from({ length: count }, make))
  const named = async (status: string) => {
    const path = `/compute/v2.1/servers?name=^${name}$&status=${status}`
    return (await call<{ servers: { id: string }[] }>(session, "GET", path)).servers
  }
  // What many take is long, and asking slows it down.
  const askEveryMs = count === 1 ? 2 : 20
  for (let asked = 1; (await named("ACTIVE")).length < count; asked++) {
    const [bad] = asked % 25 === 0 ? await named("ERROR") : []
    if (bad) throw new Error(`a server ${name} is in ERROR: ${await faultOf(session, bad.id)}`)
    if (performance.now() - startedMs > activeWithinMs)
      throw new Error(`servers ${name} do not become ACTIVE`)
    await delay(askEveryMs)
  }
  return performance.now() - startedMs
}

async function faultOf(session: Session, serverId: string): Promise<string> {
  type Answer = { server: { fault?: { message: string } } }
  const { server } = await call<Answer>(session, "GET", `/compute/v2.1/servers/${serverId}`)
  return server.fault?.message ?? "no fault is told"
}
