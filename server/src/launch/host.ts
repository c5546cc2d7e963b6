// `kumoi host`: the machines that the cloud runs servers on, and machines that differ from what the database says.
import { hostname } from "node:os"
import { Fault } from "../platform/fault/fault.ts"
import { askRunning } from "./ask.ts"
import type { HostAnswer, HostQuestion } from "./host-answer.ts"
import { renderHostAnswer } from "./host-render.ts"
import type { MappingsAnswer } from "./joined/member-mappings.ts"
import {
  command,
  dataDirOf,
  dataOption,
  numberOption,
  type OptionSpecs,
  type ParsedOptions,
} from "./options.ts"

const specs = {
  ...dataOption,
  name: {
    type: "string",
    of: ["join", "token"],
    value: "NAME",
    help: "join: the host's name in the cloud (default: this machine's); token: only for a host of this name",
  },
  address: {
    type: "string",
    of: ["token", "join"],
    value: "IP",
    help: "where other hosts reach the new one, if it comes from another address; say it at token and join",
  },
  hypervisor: {
    type: "string",
    choices: ["auto", "qemu", "fake"],
    of: ["join"],
    help: "join: what runs machines (default auto: qemu as root)",
  },
  public: {
    type: "boolean",
    of: ["join"],
    help: "join: this machine has a way to the public network, so it can be a gateway",
  },
  "bridge-mappings": {
    type: "string",
    value: "NET:BRIDGE,...",
    of: ["join"],
    help: "join: by which bridges of this machine it reaches physical networks, such as public:br-public,dc:br-dc",
  },
  priority: {
    type: "string",
    value: "N",
    of: ["gateway"],
    help: "gateway: the highest carries all routers, equal ones share them (default: 2 the first host, 1 others)",
  },
  control: {
    type: "boolean",
    of: ["token"],
    help: "token: for a further control host, which gets all secrets of the cloud (./kumoi up --join)",
  },
  hours: { type: "string", value: "N", of: ["token"], help: "token: how long it lets a host in (default 1)" },
  reason: { type: "string", value: "TEXT", of: ["disable"], help: "disable: why" },
  "at-once": {
    type: "string",
    value: "N",
    of: ["drain", "evacuate"],
    help: "drain, evacuate: how many servers move at a time (default 2, at most 10)",
  },
  stop: {
    type: "boolean",
    of: ["drain"],
    help: "drain: servers that no host takes while they run are stopped for the move, and start there",
  },
  project: {
    type: "string",
    value: "ID",
    of: ["adopt"],
    help: "adopt: whose the server is (default: as the machine says)",
  },
  yes: {
    type: "boolean",
    of: ["discard", "join"],
    help: "discard: yes, delete these disks for good; join: install packages",
  },
  json: { type: "boolean", help: "as JSON" },
} as const satisfies OptionSpecs

const what = `The hosts of a cloud:

  token            prints the line by which another machine joins
  join URL TOKEN   makes this machine a host of that cloud, and starts it; later: ./kumoi up, ./kumoi down
  list             every host: state, servers, room
  describe HOST    one of them: what it has, and what projects use of it
  disable HOST     no new server comes to it; enable HOST ends that
  drain HOST       disables it and moves its servers to other hosts: those that run while they run, others while they
                   are off. It may be broken off and said again. Exit status: 0 none is left on it, 1 some are, each
                   told with its reason
  evacuate HOST    lets the servers of a host that is down go on elsewhere, each made anew from its image, with the
                   volumes that other hosts reach. Be sure that its guests have ended. Said again, it goes on; exit
                   status as of drain
  bridge-mappings NET:BRIDGE,...
                   on a machine that joined: by which of its bridges it reaches physical networks from now on,
                   instead of those that it joined with; its guests run on. With the word none: by no bridge
  gateway HOST on  routers may leave the cloud there, if the gateways before it are lost; gateway HOST off ends that
  remove HOST      it is none any more; there must be no server on it

Machines that no server of the database accounts for, as after a backup was restored:

  unknown [HOST]   lists them: set aside, still in their place, and servers whose machine is missing
  adopt ID         makes a server of the machine, with its disks
  discard ID ...   deletes machine and disks for good (needs --yes)`

/** Switching a guest off and deleting large disks take their time. */
const timeoutMs = 600_000
const hourMs = 3_600_000

/** What stands behind each of the actions. */
const wordsBehind: Readonly<Record<string, string>> = {
  ...{
    token: "",
    join: "URL TOKEN (both as host token printed them)",
    list: "",
    describe: "HOST",
    disable: "HOST",
    enable: "HOST",
  },
  ...{ drain: "HOST", evacuate: "HOST", "bridge-mappings": "NET:BRIDGE,...", gateway: "HOST on|off" },
  ...{ remove: "HOST", unknown: "[HOST]", adopt: "ID", discard: "ID ..." },
}

const about = {
  usage: `host ${Object.keys(wordsBehind).join("|")} [WORDS] [options]`,
  what,
  specs,
  takesWords: true,
}

export const host = command(about, async (options, args) => {
  const [action = "", ...words] = options.positionals
  if (action === "join" && words.length === 2) return await join(options, words, args)
  const [first] = words
  if (action === "drain" && first !== undefined && words.length === 1) {
    const atOnce = numberOption(options, "at-once", { min: 1, max: 10 }) ?? 2
    const { drain } = await import("./move.ts")
    return await drain(options, { host: first, atOnce, mayStop: options.flag("stop") })
  }
  if (action === "bridge-mappings" && first !== undefined && words.length === 1)
    return await mapBridges(options, first)
  if (action === "evacuate" && first !== undefined && words.length === 1) {
    const atOnce = numberOption(options, "at-once", { min: 1, max: 10 }) ?? 2
    const { evacuate } = await import("./move.ts")
    return await evacuate(options, { host: first, atOnce })
  }
  const questions = questionsOf(options, action, words)
  if (questions === null) throw misuse(action, words)
  if (action === "discard" && !options.flag("yes")) {
    process.stderr.write(`kumoi: this deletes the disks of ${words.join(", ")} for good; say --yes.\n`)
    return 2
  }
  const dataDir = dataDirOf(options)
  for (const question of questions) {
    const answer = await askRunning<HostAnswer>(dataDir, "/host", question, timeoutMs)
    if (answer === null) return 3
    process.stdout.write(
      options.flag("json") ? `${JSON.stringify(answer, null, 2)}\n` : renderHostAnswer(answer),
    )
  }
  return 0
})

function misuse(action: string, words: readonly string[]): Fault {
  const wanted = wordsBehind[action]
  const all = `use one of ${Object.keys(wordsBehind).join(", ")}`
  const given = ["host", action, ...words].join(" ").trim()
  const right =
    wanted === "" ? `./kumoi host ${action}, with no word behind it` : `./kumoi host ${action} ${wanted}`
  const text = `${given}: ${wanted === undefined ? all : `use ${right}`}; see ./kumoi host --help.`
  return new Fault("invalid", "cli.words.invalid", text)
}

/** Joins, and starts what joined. */
async function join(options: ParsedOptions, words: readonly string[], args: string[]): Promise<number> {
  const [url = "", token = ""] = words
  const { joinCloud } = await import("./joined/join.ts")
  const { readMappings } = await import("./joined/member-mappings.ts")
  const name = options.text("name") ?? hostname().toLowerCase()
  const address = options.text("address") ?? null
  // readOptions has checked the choices.
  const hypervisor = (options.text("hypervisor") ?? "auto") as "auto" | "qemu" | "fake"
  const membership = await joinCloud({
    ...{ dataDir: dataDirOf(options), url, token, name, address, hypervisor },
    isPublic: options.flag("public"),
    bridgeMappings: readMappings(mappingTexts(options.text("bridge-mappings") ?? ""), options.flag("public")),
  })
  process.stdout.write(`joined as ${membership.name}\n`)
  const { up } = await import("./up.ts")
  return await up(["--detach", ...upArgs(args)])
}

/** `public:br-public,dc:br-dc`; of none there is nothing to read. */
const mappingTexts = (text: string) => (text === "" || text === "none" ? [] : text.split(","))

/** On the machine whose bridges they are, as it runs. */
async function mapBridges(options: ParsedOptions, text: string): Promise<number> {
  const dataDir = dataDirOf(options)
  const { readMembership } = await import("./joined/membership.ts")
  const membership = readMembership(dataDir)
  if (!membership) {
    const message =
      `host bridge-mappings is said on a machine that joined a cloud, for that machine (--data DIR). ` +
      "The cloud's first host has its mappings in its configuration: network.bridgeMappings"
    throw new Fault("precondition", "cli.mappings.not_joined", message)
  }
  const question = { mappings: mappingTexts(text) }
  const answer = await askRunning<MappingsAnswer>(dataDir, "/bridge-mappings", question, timeoutMs)
  if (answer === null) return 3
  const words = Object.entries(answer.mappings).map(([network, bridge]) => `${network} by ${bridge}`)
  const reached = words.length === 0 ? "no physical network by a bridge" : words.join(", ")
  process.stdout.write(
    options.flag("json")
      ? `${JSON.stringify(answer, null, 2)}\n`
      : `${membership.name} reaches ${reached}; it stays so after a restart.\n`,
  )
  return 0
}

/** Those of the options that are of its start. */
function upArgs(args: readonly string[]): string[] {
  const taken = ["--data"]
  return args.flatMap((arg, at) => {
    if (arg === "--yes") return [arg]
    const [name = "", value] = arg.split(/=(.*)/s)
    if (!taken.includes(name)) return []
    return [name, value ?? args[at + 1] ?? ""]
  })
}

const ofOneHost = ["describe", "disable", "enable", "remove"] as const

function questionsOf(
  options: ParsedOptions,
  action: string,
  words: readonly string[],
): HostQuestion[] | null {
  const [first] = words
  const isAlone = words.length === 0
  if (action === "list" && isAlone) return [{ action }]
  if (action === "token" && isAlone) {
    const hours = numberOption(options, "hours", { min: 1, max: 720 }) ?? 1
    return [
      {
        action,
        host: options.text("name") ?? null,
        address: options.text("address") ?? null,
        lastsMs: hours * hourMs,
        isControl: options.flag("control"),
      },
    ]
  }
  if (action === "unknown" && words.length <= 1) return [{ action, host: first ?? null }]
  if (action === "discard" && !isAlone) return words.map((id) => ({ action, id }))
  if (action === "gateway") return gatewayQuestion(options, words)
  if (first === undefined || words.length > 1) return null
  if (action === "adopt") return [{ action, id: first, project: options.text("project") ?? null }]
  const verb = ofOneHost.find((each) => each === action)
  if (verb === "disable") return [{ action: verb, host: first, reason: options.text("reason") ?? "" }]
  return verb === undefined ? null : [{ action: verb, host: first }]
}

function gatewayQuestion(options: ParsedOptions, words: readonly string[]): HostQuestion[] | null {
  const [host, state, ...more] = words
  if (host === undefined || (state !== "on" && state !== "off") || more.length > 0) return null
  const priority = numberOption(options, "priority", { min: 1, max: 1_000 }) ?? null
  return [{ action: "gateway", host, isGateway: state === "on", priority }]
}
