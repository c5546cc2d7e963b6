// Runs Tempest against a cloud that is up: fills the configuration template with the cloud's own ids.
//   node tools/conformance.ts --data DIR --suite DIR [--root CHROOT] [--list FILE | --regex RE] [--concurrency N]
// SUITE is a folder with tempest.conf.template. Prints Tempest's own summary, failures with their last lines.
import { execFile, spawn } from "node:child_process"
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { parseArgs, promisify } from "node:util"

const run = promisify(execFile)

const { values } = parseArgs({
  options: {
    data: { type: "string", default: ".kumoi" },
    suite: { type: "string", default: "../shared/conformance" },
    root: { type: "string" },
    list: { type: "string" },
    regex: { type: "string" },
    concurrency: { type: "string", default: "2" },
    workspace: { type: "string", default: "/tmp/kumoi-tempest" },
  },
})

interface Token {
  id: string
  catalog: { type: string; endpoints: { url: string; interface: string }[] }[]
}

function readClouds(): { url: string; admin: string; demo: string } {
  const passwords = JSON.parse(readFileSync(join(values.data, "passwords.json"), "utf8"))
  const endpoint = JSON.parse(readFileSync(join(values.data, "endpoint.json"), "utf8"))
  return { url: endpoint.url, ...passwords }
}

async function logIn(url: string, password: string): Promise<Token> {
  const domain = { id: "default" }
  const response = await fetch(`${url}/v3/auth/tokens`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      auth: {
        identity: { methods: ["password"], password: { user: { name: "admin", domain, password } } },
        scope: { project: { name: "admin", domain } },
      },
    }),
  })
  const body = (await response.json()) as { token: { catalog: Token["catalog"] } }
  return { id: response.headers.get("x-subject-token") ?? "", catalog: body.token.catalog }
}

async function get<T>(url: string, token: Token): Promise<T> {
  const response = await fetch(url, { headers: { "x-auth-token": token.id } })
  if (!response.ok) throw new Error(`${url}: ${response.status}`)
  return (await response.json()) as T
}

type Named = { id: string; name: string }

async function words(): Promise<Record<string, string>> {
  const cloud = readClouds()
  const token = await logIn(cloud.url, cloud.admin)
  const endpoint = (type: string) =>
    token.catalog.find((s) => s.type === type)?.endpoints.find((e) => e.interface === "public")?.url ?? ""
  const images = (await get<{ images: Named[] }>(`${endpoint("image")}/v2/images?sort=created_at:asc`, token))
    .images
  const flavors = (await get<{ flavors: Named[] }>(`${endpoint("compute")}/flavors`, token)).flavors
  const networks = (
    await get<{ networks: Named[] }>(`${endpoint("network")}/v2.0/networks?name=public`, token)
  ).networks
  const versions = await get<{ version: { version: string } }>(`${endpoint("compute")}/`, token)
  const extensions = await get<{ extensions: { alias: string }[] }>(
    `${endpoint("network")}/v2.0/extensions`,
    token,
  )
  const flavor = (name: string) => flavors.find((f) => f.name === name)?.id ?? ""
  return {
    ADMIN_PASSWORD: cloud.admin,
    DEMO_PASSWORD: cloud.demo,
    IMAGE_ID: images[0]?.id ?? "",
    IMAGE_ALT_ID: images[1]?.id ?? images[0]?.id ?? "",
    IMAGE_NAME: images[0]?.name ?? "",
    FLAVOR_ID: flavor("m1.nano"),
    FLAVOR_ALT_ID: flavor("m1.micro"),
    PUBLIC_NETWORK_ID: networks[0]?.id ?? "",
    NOVA_MAX: versions.version.version,
    NEUTRON_EXTENSIONS: extensions.extensions.map((e) => e.alias).join(","),
    CINDER_MAX: "3.0",
    STORAGE_PROTOCOL: "none",
    VENDOR_NAME: "Kumoi",
    URL: cloud.url,
    SERVICES: token.catalog.map((s) => s.type).join(","),
  }
}

/** A service that is not in the catalog is said to be absent, so that its tests are skips and not failures. */
const availability: Record<string, string> = {
  cinder: "volumev3",
  swift: "object-store",
  heat: "orchestration",
  aodh: "alarming",
  gnocchi: "metric",
  ceilometer: "metering",
  load_balancer: "load-balancer",
  designate: "dns",
  barbican: "key-manager",
  zaqar: "messaging",
}

function configure(template: string, facts: Record<string, string>): string {
  let text = template.replaceAll(/@([A-Z_]+)@/g, (whole, word: string) => facts[word] ?? whole)
  text = text.replace("http://127.0.0.1:5000", facts.URL ?? "")
  const served = new Set(facts.SERVICES?.split(","))
  // The same words stand in other sections with another meaning.
  const [before = "", after = ""] = text.split("[service_available]")
  let section = after
  for (const [service, type] of Object.entries(availability)) {
    if (!served.has(type))
      section = section.replace(new RegExp(`^${service} = true$`, "m"), `${service} = false`)
  }
  return `${before}[service_available]${section}`
}

async function main(): Promise<void> {
  const facts = await words()
  const base = values.root ?? ""
  const inside = (args: string[]): [string, string[]] =>
    values.root ? ["chroot", [values.root, ...args]] : [args[0] ?? "", args.slice(1)]
  const workspace = join(base, values.workspace)
  rmSync(workspace, { recursive: true, force: true })
  mkdirSync(join(base, "/tmp"), { recursive: true })
  // Tempest keeps a register of workspaces; a stale entry of the same path is in the way.
  rmSync(join(base, "/root/.tempest"), { recursive: true, force: true })
  await run(...inside(["tempest", "init", values.workspace]))
  const template = readFileSync(join(values.suite, "tempest.conf.template"), "utf8")
  writeFileSync(join(workspace, "etc/tempest.conf"), configure(template, facts), { mode: 0o600 })
  const selection = values.list ? ["--include-list", "etc/list.txt"] : ["--regex", values.regex ?? "smoke"]
  if (values.list) cpSync(values.list, join(workspace, "etc/list.txt"))
  const shell = `cd ${values.workspace} && exec tempest run --concurrency "$0" "$@"`
  const [file, args] = inside(["sh", "-c", shell, values.concurrency, ...selection])
  const child = spawn(file, args, { stdio: ["ignore", "inherit", "inherit"] })
  const code = await new Promise<number>((done) => child.once("exit", (c) => done(c ?? 1)))
  process.exitCode = code
}

await main()
