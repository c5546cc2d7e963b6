// What each API answers to a fault (status, headers, body), for every kind and for every code that is not answered as
// the others of its kind are. Clients read these words: each service's testing/fault-shapes.golden.txt changes only on
// purpose.
import assert from "node:assert/strict"
import { readFile, writeFile } from "node:fs/promises"
import { test } from "node:test"
import { declaredFaults, Fault, type FaultKind, type FaultOptions } from "../src/platform/fault/fault.ts"
import { methodNotAllowed } from "../src/platform/http/faults.ts"
import type { Api, WireRequest } from "../src/platform/http/wire.ts"
import { quotaExceeded } from "../src/quota/index.ts"
import { services } from "../src/services.ts"
import { testingFile, testingPath } from "./service-cases.ts"

const kinds = Object.keys({
  invalid: 0,
  unauthenticated: 0,
  forbidden: 0,
  not_found: 0,
  conflict: 0,
  precondition: 0,
  over_quota: 0,
  no_capacity: 0,
  too_large: 0,
  unsupported: 0,
  rate_limited: 0,
  timed_out: 0,
  unavailable: 0,
  bug: 0,
} satisfies Record<FaultKind, 0>) as FaultKind[]

/** Made where they are thrown. */
const undeclared: { kind: FaultKind; code: string }[] = [
  { kind: "unsupported", code: "api.microversion.not_served" },
  { kind: "invalid", code: "api.microversion.malformed" },
  { kind: "forbidden", code: "policy.forbidden" },
  { kind: "invalid", code: "request.invalid" },
  { kind: "invalid", code: "request.malformed_json" },
  { kind: "not_found", code: "network.floating_ip.not_found" },
]

type Asked = Partial<{ url: string; headers: WireRequest["headers"] }>

function shown(api: Api, fault: Fault, asked: Asked = {}): string {
  const { status, headers, body } = api.renderFault(fault, {
    requestId: "req-1",
    baseUrl: "https://cloud",
    url: asked.url ?? "/",
    headers: asked.headers ?? {},
  })
  return JSON.stringify({ status, ...(headers ? { headers } : {}), body })
}

const sample = (kind: FaultKind, code: string, options?: FaultOptions) =>
  new Fault(kind, code, "What is <wrong>.", options)

const codes = [...declaredFaults(), ...undeclared].sort((a, b) => (a.code < b.code ? -1 : 1))

/** The codes that are not answered as the others of their kind. */
function* special(api: Api): Generator<[string, string]> {
  for (const { kind, code } of codes)
    if (shown(api, sample(kind, code)) !== shown(api, sample(kind, "any.code")))
      yield [`${code} (${kind})`, shown(api, sample(kind, code))]
}

const json = { accept: "application/json" }
const html = { accept: "text/html" }
const microversion = (service: string, version: string) => ({
  "openstack-api-version": `${service} ${version}`,
})
const shortages = ["network", "port"].map((resource) => ({ resource, asked: 2, used: 3, limit: 4 }))

/** What a request or a fault's facts change. */
const cases: Record<string, [Fault, Asked?]> = {
  "for JSON": [sample("conflict", "any.code"), { headers: json }],
  "for HTML": [sample("conflict", "any.code"), { headers: html }],
  "wrong method": [methodNotAllowed("PUT", ["GET", "POST"])],
  "wrong method, for JSON": [methodNotAllowed("PUT", ["GET", "POST"]), { headers: json }],
  "try again": [sample("unavailable", "any.code", { retryAfterMs: 1_500 })],
  "rule of a policy": [sample("forbidden", "policy.forbidden", { detail: { rule: "get_thing" } })],
  shortages: [quotaExceeded(shortages)],
  "type of its own": [sample("not_found", "any.code", { detail: { type: "ThingNotFound" } })],
  receipt: [
    sample("unauthenticated", "any.code", { detail: { receipt: { id: "r1", body: { receipt: {} } } } }),
  ],
  "newest microversion": [
    sample("conflict", "any.code"),
    { headers: { ...microversion("placement", "1.39"), ...json } },
  ],
  "placement in use": [
    sample("conflict", "placement.inventory.in_use"),
    { headers: microversion("placement", "1.39") },
  ],
  "a stranger, of the newest microversion": [
    sample("unauthenticated", "any.code"),
    { headers: microversion("placement", "1.39") },
  ],
  "OAuth 2, invalid": [sample("invalid", "any.code"), { url: "/v3/OS-OAUTH2/token" }],
  "OAuth 2, stranger": [sample("unauthenticated", "any.code"), { url: "/v3/OS-OAUTH2/token?a=b" }],
  "OAuth 2, conflict": [sample("conflict", "any.code"), { url: "/v3/OS-OAUTH2/token/" }],
  "OAuth 2, grant type": [
    sample("invalid", "api.identity.oauth2_grant_type"),
    { url: "/v3/OS-OAUTH2/token" },
  ],
  "a patch in JSON": [
    new Fault("unsupported", "api.image.media_type", "use application/openstack-images-v2.1-json-patch"),
  ],
}

function* linesOf(api: Api): Generator<string> {
  yield `\n## ${api.service}${api.version}`
  for (const kind of kinds) yield `${kind}: ${shown(api, sample(kind, "any.code"))}`
  for (const [code, answer] of special(api)) yield `${code}: ${answer}`
  for (const [name, [fault, asked]] of Object.entries(cases)) {
    const plain = shown(api, new Fault(fault.kind, "any.code", fault.message))
    if (shown(api, fault, asked) !== plain) yield `${name}: ${shown(api, fault, asked)}`
  }
  // Which codes a newer microversion shows beside the words.
  for (const { kind, code } of codes) {
    const asked = { headers: microversion("placement", "1.39") }
    const answer = shown(api, sample(kind, code), asked)
    const usual = shown(api, sample(kind, "any.code"), asked)
    if (answer !== usual && shown(api, sample(kind, code)) === shown(api, sample(kind, "any.code")))
      yield `${code}, newest microversion: ${answer}`
  }
}

for (const service of services) {
  if (service.apis.length === 0) continue
  test(`${service.name}: each API answers every fault as it always has`, async () => {
    const text = `${service.apis
      .flatMap((api) => [...linesOf(api)])
      .join("\n")
      .trim()}\n`
    const golden = testingPath(service, "fault-shapes.golden.txt")
    if (process.env.WRITE_GOLDEN) await writeFile(golden, text)
    const kept = await readFile(golden, "utf8").catch(() => "")
    const [now, before] = [text.split("\n"), kept.split("\n")]
    const added = now.filter((line) => !before.includes(line)).map((line) => `+ ${line}`)
    const gone = before.filter((line) => !now.includes(line)).map((line) => `- ${line}`)
    const file = testingFile(service, "fault-shapes.golden.txt")
    assert.deepEqual([...gone, ...added], [], `${file} differs; WRITE_GOLDEN=1 writes it anew`)
    assert.equal(now.length, before.length)
  })
}
