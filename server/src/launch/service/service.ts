// `kumoi service`: a systemd unit that runs a cloud on this machine.
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs"
import { delimiter, join, resolve } from "node:path"
import { Fault } from "../../platform/fault/fault.ts"
import { readMainState, writeWhole } from "../cloud-dir.ts"
import {
  command,
  dataDirOf,
  helpText,
  numberOption,
  type OptionSpecs,
  type ParsedOptions,
} from "../options.ts"
import { readCloudStatus } from "../status.ts"
import { readUpOptions, upOptionSpecs } from "../up-options.ts"
import { ownSystemd, type Systemd } from "./systemd.ts"
import { environmentFileOf, readUnitData, unitNameOf, unitText } from "./unit.ts"

// A service stays in the foreground, and what it serves is kept.
const { detach: _detach, ephemeral: _ephemeral, ...upSpecs } = upOptionSpecs

const nameSpecs = {
  name: {
    type: "string",
    value: "NAME",
    help: "kumoi-NAME.service, for a second cloud (default kumoi.service)",
  },
  root: { type: "string", value: "DIR", help: "below this directory, an image being built; starts nothing" },
} as const satisfies OptionSpecs

const forceSpec = {
  force: { type: "boolean", help: "also when somebody else wrote the unit, or it runs another cloud" },
} as const satisfies OptionSpecs

const installSpecs = {
  ...nameSpecs,
  ...forceSpec,
  print: { type: "boolean", help: "print the unit, write nothing" },
  grace: { type: "string", value: "SECONDS", help: "time for guests to power off at a stop (default 20)" },
  ...upSpecs,
} as const satisfies OptionSpecs

const removeSpecs = { ...nameSpecs, ...forceSpec } as const satisfies OptionSpecs
const statusSpecs = {
  ...nameSpecs,
  json: { type: "boolean", help: "as JSON" },
} as const satisfies OptionSpecs

const what = `A systemd unit that runs a cloud: from the start of the machine, and again when it dies.

  install  writes it, with the options of "up" that follow, and starts the cloud
  remove   stops the cloud and removes the unit; the data stays
  status   the unit, and the cloud that it runs. Exit 0 when both run, 3 when not, 4 without a unit`

const unitDir = "etc/systemd/system"
/** systemd's own for services. */
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
const programDir = resolve(import.meta.dirname, "../../../..")
/** Guests, engines, clean-up: systemd bounds it (TimeoutStopSec). */
const stopMs = 900_000

export async function service(args: string[], systemd: Systemd = ownSystemd): Promise<number> {
  const [action, ...rest] = args
  const run = async (specs: OptionSpecs, verb: typeof install) =>
    await command({ usage: `service ${action} [options]`, what, specs }, (options) => verb(options, systemd))(
      rest,
    )
  if (action === "install") return await run(installSpecs, install)
  if (action === "remove") return await run(removeSpecs, remove)
  if (action === "status") return await run(statusSpecs, status)
  if (action === "--help" || action === "-h") {
    const usage = "service install|remove|status [options]"
    process.stdout.write(helpText({ usage, what, specs: installSpecs }))
    return 0
  }
  process.stderr.write("kumoi: use service install, service remove or service status; --help tells more.\n")
  return 2
}

interface Place {
  name: string
  path: string
  /** Of the unit that is there. */
  text: string | null
  /** Whether systemd of this machine has to do with it. */
  isLive: boolean
}

function placeOf(options: ParsedOptions, systemd: Systemd): Place {
  const name = unitNameOf(options.text("name"))
  const root = options.text("root")
  const path = join(resolve(root ?? systemd.root), unitDir, name)
  const text = existsSync(path) ? readFileSync(path, "utf8") : null
  return { name, path, text, isLive: root === undefined && systemd.isRunning }
}

function requireRoot(options: ParsedOptions, action: string): void {
  if (options.text("root") !== undefined || process.getuid?.() === 0) return
  const message = `service ${action} writes /${unitDir}: use sudo. service install --print only prints the unit.`
  throw new Fault("forbidden", "cli.service.needs_root", message)
}

async function install(options: ParsedOptions, systemd: Systemd): Promise<number> {
  const text = unitOf(options)
  if (options.flag("print")) {
    process.stdout.write(text)
    return 0
  }
  requireRoot(options, "install")
  const place = placeOf(options, systemd)
  const dataDir = dataDirOf(options)
  refuseForeign(place, dataDir, options.flag("force"))
  refuseLostSecrets(place.name, resolve(options.text("root") ?? systemd.root))
  mkdirSync(join(place.path, ".."), { recursive: true })
  writeWhole(place.path, text, 0o644)
  say(`wrote ${place.path}`)
  if (!place.isLive) {
    say(`systemd does not run here: nothing was started. Where it runs:\n  ${commands(place.name)}`)
    return 0
  }
  await systemd.systemctl(["daemon-reload"])
  return await startIt(place, dataDir, systemd)
}

async function startIt({ name }: Place, dataDir: string, systemd: Systemd): Promise<number> {
  const isActive = (await systemd.systemctl(["is-active", name])) === "active"
  const running = readMainState(dataDir)
  // Started beside another process it would end at once.
  if (running && !isActive) {
    await systemd.systemctl(["enable", name])
    say(`enabled ${name}: it starts with the machine`)
    say(`The cloud runs already (process ${running.identity.pid}). Hand it over, which stops guests:`)
    say(`  ./kumoi down --data '${dataDir}' && systemctl start ${name}`)
    return 0
  }
  await systemd.systemctl(["enable", "--now", name])
  if (isActive) say(`${name} goes on with its former options until: systemctl restart ${name} (stops guests)`)
  else say(`started ${name}; what it says: journalctl -u ${name}`)
  return 0
}

async function remove(options: ParsedOptions, systemd: Systemd): Promise<number> {
  requireRoot(options, "remove")
  const place = placeOf(options, systemd)
  if (place.text === null) throw new Fault("not_found", "cli.service.no_unit", `There is no ${place.path}.`)
  const dataDir = readUnitData(place.text)
  refuseForeign(place, dataDir, options.flag("force"))
  if (place.isLive) {
    say(`stopping ${place.name}; guests power off`)
    await systemd.systemctl(["disable", "--now", place.name], stopMs)
  }
  rmSync(place.path)
  // Where systemd does not run, somebody may have enabled it all the same.
  rmSync(join(place.path, `../multi-user.target.wants/${place.name}`), { force: true })
  if (place.isLive) await systemd.systemctl(["daemon-reload"])
  say(`removed ${place.path}${dataDir === null ? "" : `; the data stays in ${dataDir}`}`)
  return 0
}

async function status(options: ParsedOptions, systemd: Systemd): Promise<number> {
  const place = placeOf(options, systemd)
  const dataDir = place.text === null ? null : readUnitData(place.text)
  const ask = async (question: string) =>
    place.isLive ? (await systemd.systemctl([question, place.name])) || "unknown" : null
  const cloud = dataDir === null ? null : await readCloudStatus(dataDir)
  const found = {
    unit: place.name,
    path: place.text === null ? null : place.path,
    isOurs: dataDir !== null,
    dataDir,
    enabled: place.text === null ? null : await ask("is-enabled"),
    active: place.text === null ? null : await ask("is-active"),
    cloud: cloud && { state: cloud.state, url: cloud.url },
  }
  process.stdout.write(
    options.flag("json") ? `${JSON.stringify(found, null, 2)}\n` : render(found, place.path),
  )
  if (place.text === null) return 4
  return found.active === "active" && cloud?.state === "running" ? 0 : 3
}

interface FoundService {
  unit: string
  path: string | null
  isOurs: boolean
  dataDir: string | null
  enabled: string | null
  active: string | null
  cloud: { state: string; url: string | null } | null
}

function render(found: FoundService, path: string): string {
  if (found.path === null) return `There is no ${path}. Make it with: ./kumoi service install\n`
  const none = "systemd does not run here"
  const cloud = found.cloud
    ? `${found.cloud.state}${found.cloud.url ? ` at ${found.cloud.url}` : ""}`
    : "unknown"
  return `unit     ${found.path}${found.isOurs ? "" : " (not written by kumoi service install)"}
data     ${found.dataDir ?? "unknown"}
enabled  ${found.enabled ?? none}
active   ${found.active ?? none}
cloud    ${cloud}
`
}

function unitOf(options: ParsedOptions): string {
  // Wrong options are told now and not by the journal.
  const up = readUpOptions(options)
  const files = ["config", "tls-cert", "tls-key"]
  const upArgs = Object.entries<OptionSpecs[string]>(upSpecs).flatMap(([name, { type }]) => {
    if (name === "data") return []
    if (type === "boolean") return options.flag(name) ? [`--${name}`] : []
    const value = options.text(name)
    if (value === undefined) return []
    return [`--${name}=${files.includes(name) ? resolve(value) : value}`]
  })
  return unitText({
    name: unitNameOf(options.text("name")),
    programDir,
    dataDir: up.dataDir,
    upArgs,
    graceSeconds: numberOption(options, "grace", { min: 0, max: 600 }) ?? 20,
    path: pathForNode(process.env.PATH ?? ""),
  })
}

/** The launcher asks for `node`; where that is in a place of its own, the unit has to name it. */
function pathForNode(path: string): string | null {
  const has = (dir: string) => existsSync(join(dir, "node"))
  if (defaultPath.split(delimiter).some(has)) return null
  const dir = path.split(delimiter).find((each) => each.startsWith("/") && has(each))
  return dir === undefined ? null : `${dir}:${defaultPath}`
}

function refuseForeign(place: Place, dataDir: string | null, isForced: boolean): void {
  if (place.text === null || isForced) return
  const runs = readUnitData(place.text)
  if (runs === null) {
    const message = `${place.path} was not written by kumoi service install. Use another --name, or --force.`
    throw new Fault("conflict", "cli.service.foreign_unit", message)
  }
  if (runs === dataDir) return
  const message = `${place.path} runs the cloud in ${runs}. Use another --name, or --force.`
  throw new Fault("conflict", "cli.service.other_cloud", message)
}

/** With another database than the one that was meant, the service would begin an empty cloud. */
function refuseLostSecrets(unitName: string, root: string): void {
  const file = environmentFileOf(unitName)
  const inRoot = join(root, file)
  const given = existsSync(inRoot) ? readFileSync(inRoot, "utf8") : ""
  for (const name of ["DATABASE_URL", "AMQP_URL"]) {
    if (!process.env[name] || new RegExp(`^\\s*${name}=`, "m").test(given)) continue
    const message = `${name} is set here, but a service does not see it: write ${name}=… into ${file} (mode 0600).`
    throw new Fault("precondition", "cli.service.environment", message)
  }
}

function commands(name: string): string {
  return `systemctl daemon-reload && systemctl enable --now ${name}`
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
