// A folder to run Tempest in: its configuration is filled from the cloud's own answers, so that nothing about the
// cloud is written down twice.
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { run } from "../cloud.ts"
import { type Outcome, readOutcomes } from "./outcome.ts"

export const ownTemplate = join(import.meta.dirname, "tempest.conf.template")

/** Where the import tests fetch their images; see web-images.ts. */
export const webImages = { host: "127.0.0.1", port: 8899 }

export interface WorkspaceOptions {
  /** Data directory of the cloud, where its address and its first passwords are. */
  dataDir: string
  /** The workspace; must not be there yet. */
  folder: string
  /** The configuration with a @WORD@ for each fact of the cloud. */
  template?: string
  /** Tests log into guests; they must be real. */
  isWithGuests?: boolean
  /** Root of another Debian that has Tempest; the workspace lies in there. */
  root?: string
}

export interface TempestRun {
  outcomes: Outcome[]
  /** All that Tempest printed. */
  output: string
  exitCode: number
}

/** Tests whose name matches, or those that match a line of a list. */
export type Selection = { regex: string } | { list: string }

const listMs = 120_000

export class TempestWorkspace {
  readonly #folder: string
  readonly #root: string | undefined

  private constructor(options: WorkspaceOptions) {
    this.#folder = options.folder
    this.#root = options.root
  }

  static async create(options: WorkspaceOptions): Promise<TempestWorkspace> {
    const workspace = new TempestWorkspace(options)
    // Tempest notes each workspace in a register, which is of no use to us.
    const register = `${options.folder}.yaml`
    await run(...workspace.#inside("tempest", "init", "--workspace-path", register, options.folder))
    rmSync(join(options.root ?? "", register))
    const facts = await readFacts(options.dataDir)
    const template = readFileSync(options.template ?? ownTemplate, "utf8")
    const text = configure(template, facts, options.isWithGuests ?? false)
    writeFileSync(workspace.#path("etc/tempest.conf"), text, { mode: 0o600 })
    return workspace
  }

  /** Names of the tests that are selected. */
  async list(select: Selection): Promise<string[]> {
    const { stdout } = await this.#tempest(["run", "--list-tests", ...this.#options(select)], listMs)
    return stdout.split("\n").flatMap((line) => /^([\w.]+\.test_\w+)(\[|\(|$)/.exec(line)?.[1] ?? [])
  }

  async run(select: Selection, limits: { concurrency: number; timeoutMs: number }): Promise<TempestRun> {
    const args = ["run", "--concurrency", String(limits.concurrency), ...this.#options(select)]
    const { stdout, stderr, exitCode } = await this.#tempest(args, limits.timeoutMs)
    const output = `${stdout}${stderr}`
    return { outcomes: readOutcomes(output), output, exitCode }
  }

  #options(select: Selection): string[] {
    if ("regex" in select) return ["--regex", select.regex]
    writeFileSync(this.#path("etc/list.txt"), select.list)
    return ["--include-list", "etc/list.txt"]
  }

  #tempest(args: string[], timeoutMs: number) {
    const shell = `cd "$0" && exec tempest "$@"`
    const command = this.#inside("sh", "-c", shell, this.#folder, ...args)
    return run(command[0], command[1], { ...command[2], timeoutMs, isChecked: false })
  }

  #inside(...command: [string, ...string[]]): [string, string[], { env: Record<string, string> }] {
    const [file, ...args] = this.#root === undefined ? command : ["chroot", this.#root, ...command]
    return [file ?? "", args, { env: { LC_ALL: "C.UTF-8" } }]
  }

  #path(name: string): string {
    return join(this.#root ?? "", this.#folder, name)
  }
}

type Facts = Record<string, string>
type Named = { id: string; name: string }
type Image = Named & { disk_format: string; container_format: string }

async function readFacts(dataDir: string): Promise<Facts> {
  const passwords = JSON.parse(readFileSync(join(dataDir, "passwords.json"), "utf8"))
  const { url } = JSON.parse(readFileSync(join(dataDir, "endpoint.json"), "utf8"))
  const { token, catalog } = await logIn(url, passwords.admin)
  const endpoint = (type: string) =>
    catalog.find((s) => s.type === type)?.endpoints.find((e) => e.interface === "public")?.url ?? ""
  const get = async <T>(type: string, path: string): Promise<T> => {
    const response = await fetch(`${endpoint(type)}${path}`, { headers: { "x-auth-token": token } })
    if (!response.ok) throw new Error(`${type} ${path}: ${response.status}`)
    // The suite itself checks the shapes of answers.
    return (await response.json()) as T
  }
  const { images } = await get<{ images: Image[] }>("image", "/v2/images?sort=created_at:asc")
  const [image] = images
  if (!image) throw new Error("the cloud has no image")
  const otherImage = images[1] ?? (await copyImage(`${endpoint("image")}/v2/images`, image, token))
  const { flavors } = await get<{ flavors: Named[] }>("compute", "/flavors")
  const { networks } = await get<{ networks: Named[] }>("network", "/v2.0/networks?name=public")
  const compute = await get<{ version: { version: string } }>("compute", "/")
  const { extensions } = await get<{ extensions: { alias: string }[] }>("network", "/v2.0/extensions")
  const flavor = (name: string) => flavors.find((f) => f.name === name)?.id ?? ""
  return {
    URL: url,
    ADMIN_PASSWORD: passwords.admin,
    DEMO_PASSWORD: passwords.demo,
    IMAGE_ID: image.id,
    IMAGE_ALT_ID: otherImage.id,
    IMAGE_NAME: image.name,
    FLAVOR_ID: flavor("m1.nano"),
    FLAVOR_ALT_ID: flavor("m1.micro"),
    PUBLIC_NETWORK_ID: networks[0]?.id ?? "",
    NOVA_MAX: compute.version.version,
    NEUTRON_EXTENSIONS: extensions.map((e) => e.alias).join(","),
    ...(await volumeFacts(get, catalog)),
    WEB_IMAGES: `http://${webImages.host}:${webImages.port}`,
    SERVICES: catalog.map((s) => s.type).join(","),
  }
}

type Get = <T>(type: string, path: string) => Promise<T>
type Pools = { pools: { capabilities: { storage_protocol: string; vendor_name: string } }[] }

async function volumeFacts(get: Get, catalog: Catalog): Promise<Facts> {
  if (!catalog.some(({ type }) => type === "volumev3")) return { CINDER_MAX: "3.0" }
  const { versions } = await get<{ versions: { version: string }[] }>("volumev3", "/../")
  const { pools } = await get<Pools>("volumev3", "/scheduler-stats/get_pools?detail=true")
  const { storage_protocol: protocol = "none", vendor_name: vendor = "none" } = pools[0]?.capabilities ?? {}
  return { CINDER_MAX: versions[0]?.version ?? "3.0", STORAGE_PROTOCOL: protocol, VENDOR_NAME: vendor }
}

/** Some tests need two images that are not one. */
async function copyImage(images: string, image: Image, token: string): Promise<Named> {
  const send = async (url: string, init: RequestInit & { duplex?: "half" }, type: string) => {
    const headers = { "x-auth-token": token, "content-type": type }
    const response = await fetch(url, { ...init, headers })
    if (!response.ok) throw new Error(`${url}: ${response.status}`)
    return response
  }
  const { disk_format, container_format } = image
  const wanted = { name: `${image.name}-copy`, visibility: "public", disk_format, container_format }
  const made = await send(images, { method: "POST", body: JSON.stringify(wanted) }, "application/json")
  // The image API's own shape.
  const copy = (await made.json()) as Named
  const data = await send(`${images}/${image.id}/file`, { method: "GET" }, "application/json")
  const body = { method: "PUT", body: data.body, duplex: "half" as const }
  await send(`${images}/${copy.id}/file`, body, "application/octet-stream")
  return copy
}

type Catalog = { type: string; endpoints: { url: string; interface: string }[] }[]

async function logIn(url: string, password: string): Promise<{ token: string; catalog: Catalog }> {
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
  if (!response.ok) throw new Error(`log-in was answered ${response.status}`)
  const body = (await response.json()) as { token: { catalog: Catalog } }
  return { token: response.headers.get("x-subject-token") ?? "", catalog: body.token.catalog }
}

/** A service that is not in the catalog is said to be absent, so that its tests are skips and not failures. */
const serviceTypes: Record<string, string> = {
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

function configure(template: string, facts: Facts, isWithGuests: boolean): string {
  const text = template
    .replaceAll(/@([A-Z_]+)@/g, (whole, word: string) => facts[word] ?? whole)
    .replaceAll("http://127.0.0.1:5000", facts.URL ?? "")
    .replace(/^run_validation = .*$/m, `run_validation = ${isWithGuests}`)
  const served = new Set(facts.SERVICES?.split(","))
  // The same words stand in other sections with another meaning.
  const [before = "", after = ""] = text.split("[service_available]")
  let section = after
  for (const [service, type] of Object.entries(serviceTypes)) {
    if (!served.has(type))
      section = section.replace(new RegExp(`^${service} = true$`, "m"), `${service} = false`)
  }
  return `${before}[service_available]${section}`
}
