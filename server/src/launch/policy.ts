// `kumoi policy`: why a rule decides as it does, which rules are in force, and whether a file of rules is right.

import { Fault } from "../platform/fault/fault.ts"
import { type EffectiveRule, PolicyEngine } from "../platform/policy/policy.ts"
import { policyFiles, readPolicyFiles } from "../platform/policy/policy-file.ts"
import { services } from "../services.ts"
import { awayText } from "./ask.ts"
import { askCloud } from "./control.ts"
import { command, dataDirOf, dataOption, type OptionSpecs, type ParsedOptions } from "./options.ts"
import type { PolicyExplanation, PolicyQuestion } from "./policy-answer.ts"
import { renderExplanation, renderRules } from "./policy-text.ts"

const json = { json: { type: "boolean", help: "as JSON" } } as const satisfies OptionSpecs

const explainSpecs = {
  ...dataOption,
  project: { type: "string", value: "NAME|ID", help: "token of this project" },
  domain: { type: "string", value: "NAME|ID", help: "token of this domain" },
  system: { type: "boolean", help: "token of the system" },
  "user-domain": { type: "string", value: "NAME|ID", help: "where USER is a name of (default: default)" },
  "project-domain": { type: "string", value: "NAME|ID", help: "where the project is a name of" },
  ...json,
} as const satisfies OptionSpecs

const listSpecs = {
  ...dataOption,
  service: { type: "string", value: "NAME", help: "rules of one service: identity, image, network …" },
  ...json,
} as const satisfies OptionSpecs

const checkSpecs = { ...dataOption } as const satisfies OptionSpecs

const help = `usage: ./kumoi policy explain USER RULE [KEY=VALUE …]   which check of which rule decides
       ./kumoi policy list [--service NAME]               every rule in force; * those from policy files
       ./kumoi policy check [FILE …]                      whether files of rules are right

Rules are changed in DIR/policy.yaml and DIR/policy.d/*.yaml; a running cloud takes changes over by itself.
./kumoi policy explain|list|check --help tells the options of each.
`

/** Exit status of `explain` for what could not be decided at all: 1 means denied. */
const undecided = 2

export async function policy(args: string[]): Promise<number> {
  const [word, ...rest] = args
  switch (word) {
    case "explain":
      return await explain(rest)
    case "list":
      return await list(rest)
    case "check":
      return await check(rest)
    default:
      process[word === undefined || word === "--help" || word === "-h" ? "stdout" : "stderr"].write(help)
      return word === "--help" || word === "-h" ? 0 : undecided
  }
}

async function explain(args: string[]): Promise<number> {
  try {
    return await tryExplain(args)
  } catch (error) {
    if (!(error instanceof Fault) || error.code === "cli.not_running") throw error
    process.stderr.write(`kumoi: ${error.message}\n`)
    return undecided
  }
}

const aboutExplain = {
  usage: "policy explain USER RULE [KEY=VALUE …] [options]",
  what:
    "Shows every check of RULE for USER with a token of some scope (default: the user's default project),\n" +
    "and which one decides. KEY=VALUE are facts of what is acted on: project_id=…, target.user.domain_id=….\n" +
    "Without any it is the user's own. Exit 0: allowed, 1: denied, 2: asked in a wrong way, 3: no cloud answers.",
  specs: explainSpecs,
  takesWords: true,
}

const tryExplain = command(aboutExplain, async (options) => {
  const dataDir = dataDirOf(options)
  // Our own process made it.
  const found = (await askCloud(dataDir, "/policy", questionOf(options))) as PolicyExplanation | null
  if (!found) {
    const message = `Only a running cloud knows its users. ${awayText(dataDir)}`
    throw new Fault("precondition", "cli.not_running", message)
  }
  process.stdout.write(
    options.flag("json") ? `${JSON.stringify(found, null, 2)}\n` : renderExplanation(found),
  )
  return found.isAllowed ? 0 : 1
})

function questionOf(options: ParsedOptions): PolicyQuestion {
  const [user, rule, ...facts] = options.positionals
  if (user === undefined || rule === undefined)
    throw new Fault("invalid", "cli.option.invalid", "policy explain needs USER and RULE; see --help.")
  return {
    ask: "explain",
    user,
    userDomain: options.text("user-domain") ?? "default",
    scope: scopeOf(options),
    rule,
    target: facts.length > 0 ? Object.fromEntries(facts.map(factOf)) : null,
  }
}

function factOf(text: string): [string, string] {
  const at = text.indexOf("=")
  if (at < 1) throw new Fault("invalid", "cli.option.invalid", `${text} is not KEY=VALUE.`)
  return [text.slice(0, at), text.slice(at + 1)]
}

function scopeOf(options: ParsedOptions): Extract<PolicyQuestion, { ask: "explain" }>["scope"] {
  const project = options.text("project")
  const domain = options.text("domain")
  const given = [project !== undefined, domain !== undefined, options.flag("system")].filter(Boolean)
  if (given.length > 1)
    throw new Fault("invalid", "cli.option.invalid", "Use one of --project, --domain and --system.")
  if (project !== undefined)
    return { kind: "project", project, domain: options.text("project-domain") ?? "default" }
  if (domain !== undefined) return { kind: "domain", domain }
  return { kind: options.flag("system") ? "system" : "default" }
}

const aboutList = {
  usage: "policy list [options]",
  what: "Every rule in force; * marks those from policy files.",
  specs: listSpecs,
}

const list = command(aboutList, async (options) => {
  const all = await rulesInForce(dataDirOf(options))
  const service = options.text("service")
  const names = [...new Set(all.map((rule) => rule.service))]
  if (service !== undefined && !names.includes(service)) {
    const known = names.filter((name) => name !== null).join(", ")
    throw new Fault("invalid", "cli.option.invalid", `--service ${service}: use one of ${known}.`)
  }
  const wanted = all.filter((rule) => service === undefined || rule.service === service)
  process.stdout.write(options.flag("json") ? `${JSON.stringify(wanted, null, 2)}\n` : renderRules(wanted))
  return 0
})

/** As the running cloud has them; of one that is down, as it would start with them. */
async function rulesInForce(dataDir: string): Promise<EffectiveRule[]> {
  const question: PolicyQuestion = { ask: "list" }
  const found = (await askCloud(dataDir, "/policy", question)) as EffectiveRule[] | null
  if (found) return found
  const engine = declaredRules()
  engine.override(...readPolicyFiles(engine, policyFiles(dataDir)))
  return engine.list()
}

function declaredRules(): PolicyEngine {
  const engine = new PolicyEngine()
  for (const { name, policies } of services) engine.declare(policies, name)
  return engine
}

const aboutCheck = {
  usage: "policy check [FILE …]",
  what:
    "Says what is wrong with files of rules: syntax, unknown rules, circles. Default: those of the data\n" +
    "directory. Several files count together, later ones win. Exit 0: right, 1: not.",
  specs: checkSpecs,
  takesWords: true,
}

const check = command(aboutCheck, async (options) => {
  const files = options.positionals.length > 0 ? options.positionals : policyFiles(dataDirOf(options))
  const layers = readPolicyFiles(declaredRules(), files)
  const count = new Set(layers.flatMap((rules) => Object.keys(rules))).size
  const rules = count === 1 ? "1 rule" : `${count} rules`
  process.stdout.write(files.length === 0 ? "There are no policy files.\n" : `${rules}, all right.\n`)
  return 0
})
