// What is accepted and read by nobody does nothing, without a word: keys of the configuration, members of requests.
import assert from "node:assert/strict"
import { join } from "node:path"
import { test } from "node:test"
import { schedulerHints } from "../server/src/compute/index.ts"
import { apisOf, folderOf } from "../server/src/engine/service.ts"
import { type Config, loadConfig } from "../server/src/platform/config/config.ts"
import { services } from "../server/src/services.ts"
import { readSourceFiles, root } from "./source-files.ts"
import { wishes } from "./wishes.ts"

const sources = readSourceFiles().filter(
  ({ path }) => path.startsWith("server/src/") && !/\.test\.ts$|\/tables\.ts$/.test(path),
)

test("every key of the configuration is read", async () => {
  const declaring = sources.filter(({ text }) => /^(?:export )?const \w+ = configSection\(/m.test(text))
  for (const { path } of declaring) await import(join(root, path))
  const base = { dataDir: "/", publicUrl: "http://127.0.0.1", region: "R", host: "h" }
  // The sections are loadConfig's to add.
  const config: object = loadConfig({ env: {}, base: base as Config })
  const text = sources
    .filter(({ path }) => !path.endsWith("/config.ts"))
    .map((file) => file.text)
    .join("\n")
  const sections = Object.entries(config).filter(([, value]) => typeof value === "object" && value !== null)
  const unread = sections.flatMap(([section, value]) =>
    Object.keys(value)
      .filter((key) => !new RegExp(`\\.${key}\\b|[{,]\\s*${key}\\s*[,:}]`).test(text))
      .map((key) => `${section}.${key}`),
  )
  assert.equal(sections.length, declaring.length, "a section is a `const … = configSection(…)` of its file")
  assert.deepEqual(unread, [])
})

/** Named by a request's schema alone, and why that is right. May only shrink. */
const namedOnce: Readonly<Record<string, string>> = {
  // Kept and shown as they are given.
  ...Object.fromEntries(
    ["minItems", "additionalItems"].map((name) => [`image ${name}`, "JSON Schema of a metadata definition"]),
  ),
  "compute connection_info": "how a volume is reached is the cloud's own to know",
  "compute device_type": "volumes are disks",
  ...Object.fromEntries(
    Object.entries(schedulerHints).flatMap(([name, { unused }]) =>
      unused ? [[`compute ${name}`, unused]] : [],
    ),
  ),
}

test("every member that a request may have is named somewhere else than in its schema", () => {
  const unread = new Set<string>()
  for (const api of apisOf(services)) {
    const own = sources.filter(({ path }) => path.startsWith(`server/src/${folderOfApi(api.service)}/`))
    const used = own.filter(({ path }) => !/schemas?\.ts$/.test(path)).map(({ text }) => text)
    const [all, handlers] = [own.map(({ text }) => text).join("\n"), used.join("\n")]
    for (const name of membersOf(
      [...(api.rootRoutes ?? []), ...api.routes].flatMap((r) => [r.body, r.query]),
    ))
      if (countOf(name, all) <= 1 || countOf(name, handlers) === 0) unread.add(`${api.service} ${name}`)
  }
  assert.deepEqual([...unread].sort(), Object.keys(namedOnce).sort())
})

test("every extra spec, image property and scheduler hint is read, or told with the reason why it is not", () => {
  const all = wishes()
  const kinds = ["extra spec", "image property", "scheduler hint"].map(
    (kind) => all.filter((wish) => wish.kind === kind).length,
  )
  assert.ok(
    kinds.every((count) => count > 5),
    `declarations were found: ${kinds}`,
  )
  const idle = all.filter(({ unused, readBy }) => unused === undefined && readBy.length === 0)
  assert.deepEqual(
    idle.map(({ kind, name }) => `${kind} ${name}`),
    [],
  )
})

/** `identity-v2` lies with `identity`; the API of Kumoi itself with none. */
function folderOfApi(api: string): string {
  return services.map(folderOf).find((folder) => api === folder || api.startsWith(`${folder}-`)) ?? ""
}

function countOf(name: string, text: string): number {
  const literal = name.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")
  return text.match(new RegExp(`(?<![\\w-])${literal}(?![\\w-])`, "g"))?.length ?? 0
}

/** Names of properties, however deep. */
function membersOf(schema: unknown, found = new Set<string>(), seen = new Set<unknown>()): Set<string> {
  if (typeof schema !== "object" || schema === null || seen.has(schema)) return found
  seen.add(schema)
  for (const [key, value] of Object.entries(schema)) {
    if (key === "properties" && typeof value === "object" && value !== null && !Array.isArray(value))
      for (const name of Object.keys(value)) found.add(name)
    membersOf(value, found, seen)
  }
  return found
}
