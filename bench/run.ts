// Measures a cloud with fake drivers over HTTP and prints a table; `--json FILE` keeps the figures.
//   node bench/run.ts [--json FILE] [--port N] [--seconds N]
import { scryptSync } from "node:crypto"
import { writeFileSync } from "node:fs"
import { setTimeout as delay } from "node:timers/promises"
import { parseArgs } from "node:util"
import { call, logIn, passwordBody, type Session } from "./client.ts"
import { type BenchCloud, startBenchCloud } from "./cloud.ts"
import { type LoadRequest, load, type Sample } from "./load.ts"

interface Row {
  what: string
  value: string
  target?: string
}

const { values } = parseArgs({
  options: { json: { type: "string" }, port: { type: "string" }, seconds: { type: "string" } },
})
const seconds = Number(values.seconds ?? 4)
const port = Number(values.port ?? 15_000)
const rows: Row[] = []
const concurrencies = [1, 16] as const

function note(what: string, value: string, target?: string): void {
  rows.push({ what, value, ...(target ? { target } : {}) })
  process.stderr.write(`${what.padEnd(46)} ${value}${target ? `   (target ${target})` : ""}\n`)
}

async function measure(
  what: string,
  url: string,
  request: (i: number) => LoadRequest,
  options: { ok?: number[]; requestsMax?: number; target?: string } = {},
): Promise<Sample[]> {
  const samples: Sample[] = []
  for (const concurrency of concurrencies) {
    const sample = await load({
      url,
      concurrency,
      durationMs: seconds * 1000,
      requestsMax: options.requestsMax ?? 1_000_000,
      request,
      okStatus: options.ok ?? [200],
    })
    samples.push(sample)
    const failures = sample.failures > 0 ? `  FAILURES ${sample.failures}` : ""
    note(
      `${what}, c=${concurrency}`,
      `${sample.perSecond.toFixed(0)}/s  median ${sample.medianMs.toFixed(2)} ms  p99 ${sample.p99Ms.toFixed(1)} ms${failures}`,
      concurrency === 16 ? options.target : undefined,
    )
  }
  return samples
}

function get(session: Session, path: string): (i: number) => LoadRequest {
  return () => ({ method: "GET", path, headers: { "x-auth-token": session.token } })
}

async function measureIdentity(cloud: BenchCloud, admin: Session): Promise<void> {
  const body = passwordBody("demo", cloud.passwords.demo, "demo")
  await measure(
    "token by password",
    cloud.url,
    () => ({
      method: "POST",
      path: "/identity/v3/auth/tokens",
      headers: { "content-type": "application/json" },
      body,
    }),
    { ok: [201] },
  )
  const startedMs = performance.now()
  for (let i = 0; i < 5; i++)
    scryptSync("password", "salt", 32, { N: 16_384, r: 8, p: 1, maxmem: 64 * 1024 * 1024 })
  note("  of which one scrypt (N=2^14, r=8)", `${((performance.now() - startedMs) / 5).toFixed(1)} ms`)
  const demo = await logIn(cloud.url, "demo", cloud.passwords.demo, "demo")
  await measure(
    "token validation",
    cloud.url,
    () => ({
      method: "GET",
      path: "/identity/v3/auth/tokens",
      headers: { "x-auth-token": admin.token, "x-subject-token": demo.token },
    }),
    { target: "2500/s" },
  )
}

async function serverBody(admin: Session): Promise<Record<string, unknown>> {
  const { images } = await call<{ images: { id: string }[] }>(admin, "GET", "/image/v2/images")
  const { flavors } = await call<{ flavors: { id: string; name: string }[] }>(
    admin,
    "GET",
    "/compute/v2.1/flavors",
  )
  const { networks } = await call<{ networks: { id: string; name: string }[] }>(
    admin,
    "GET",
    "/network/v2.0/networks?name=bench",
  )
  const flavor = flavors.find((f) => f.name === "m1.nano") ?? flavors[0]
  return { imageRef: images[0]?.id, flavorRef: flavor?.id, networks: [{ uuid: networks[0]?.id }] }
}

/** Milliseconds until all are ACTIVE, asking as a client would: one list after the other. */
async function createServers(
  session: Session,
  body: Record<string, unknown>,
  count: number,
  name: string,
): Promise<number> {
  const startedMs = performance.now()
  const make = () => call(session, "POST", "/compute/v2.1/servers", { server: { ...body, name } })
  await Promise.all(Array.from({ length: count }, make))
  const deadlineMs = startedMs + 120_000
  for (;;) {
    const { servers } = await call<{ servers: { status: string }[] }>(
      session,
      "GET",
      `/compute/v2.1/servers/detail?name=^${name}$`,
    )
    const bad = servers.filter((s) => s.status === "ERROR")
    if (bad.length > 0) throw new Error(`${bad.length} servers are in ERROR`)
    if (servers.filter((s) => s.status === "ACTIVE").length === count) return performance.now() - startedMs
    if (performance.now() > deadlineMs) throw new Error("servers did not become ACTIVE")
    await delay(2)
  }
}

async function measureServers(cloud: BenchCloud, admin: Session): Promise<void> {
  await call(admin, "PUT", `/compute/v2.1/os-quota-sets/${admin.projectId}`, {
    quota_set: { instances: -1, cores: -1, ram: -1 },
  })
  await call(admin, "PUT", `/network/v2.0/quotas/${admin.projectId}`, { quota: { port: -1, network: -1 } })
  const { network } = await call<{ network: { id: string } }>(admin, "POST", "/network/v2.0/networks", {
    network: { name: "bench" },
  })
  await call(admin, "POST", "/network/v2.0/subnets", {
    subnet: { network_id: network.id, cidr: "10.77.0.0/16", ip_version: 4 },
  })
  const body = await serverBody(admin)
  await measure("server detail list, 0 servers", cloud.url, get(admin, "/compute/v2.1/servers/detail"))
  const one = [
    await createServers(admin, body, 1, "warm"),
    await createServers(admin, body, 1, "one-a"),
    await createServers(admin, body, 1, "one-b"),
    await createServers(admin, body, 1, "one-c"),
  ]
  note(
    "server create to ACTIVE, one (best of 3 after a first)",
    `${Math.min(...one.slice(1)).toFixed(0)} ms (first ${one[0]?.toFixed(0)} ms)`,
    "40 ms",
  )
  note(
    "server create to ACTIVE, 46 at once",
    `${((await createServers(admin, body, 46, "burst-a")) / 1000).toFixed(2)} s`,
  )
  await measure("server detail list, 50 servers", cloud.url, get(admin, "/compute/v2.1/servers/detail"), {
    target: "400/s",
  })
  note(
    "server create to ACTIVE, 50 at once",
    `${((await createServers(admin, body, 50, "burst-b")) / 1000).toFixed(2)} s`,
    "1.5 s",
  )
  for (let made = 100; made < 1000; made += 100) await createServers(admin, body, 100, `many-${made}`)
  await measure("server detail list, 1000 servers", cloud.url, get(admin, "/compute/v2.1/servers/detail"))
}

async function main(): Promise<void> {
  await using cloud = await startBenchCloud(["--hypervisor", "fake", "--network", "fake"], port)
  note("start, cold, to the first authenticated request", `${cloud.coldStartSeconds.toFixed(2)} s`, "8 s")
  note("start, warm", `${(await cloud.restart()).toFixed(2)} s`, "2.5 s")
  const status = await cloud.status()
  note(
    "idle memory (PSS of every process)",
    `${(status.memoryBytes / 1_048_576).toFixed(0)} MB, ${status.components.filter((c) => c.pid).length} components`,
    "350 MB",
  )
  const admin = await logIn(cloud.url, "admin", cloud.passwords.admin, "admin")
  await measureIdentity(cloud, admin)
  await measure("image list", cloud.url, get(admin, "/image/v2/images"))
  await measure("flavor list", cloud.url, get(admin, "/compute/v2.1/flavors/detail"))
  await measure("network list", cloud.url, get(admin, "/network/v2.0/networks"))
  await call(admin, "PUT", `/network/v2.0/quotas/${admin.projectId}`, { quota: { network: -1 } })
  await measure(
    "network create",
    cloud.url,
    (i) => ({
      method: "POST",
      path: "/network/v2.0/networks",
      headers: { "x-auth-token": admin.token, "content-type": "application/json" },
      body: JSON.stringify({ network: { name: `load-${i}` } }),
    }),
    { ok: [201], requestsMax: 400 },
  )
  await measureServers(cloud, admin)
  if (values.json) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`)
}

await main()
process.stdout.write(
  `${rows.map((r) => `${r.what.padEnd(52)} ${r.value}${r.target ? `   target ${r.target}` : ""}`).join("\n")}\n`,
)
