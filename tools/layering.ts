// Imports go one way: platform <- engine <- services <- api <- main and launch. A service sees another only through
// its index.ts, and only those before it in the order. The agent is apart: no service, no SQL.
import type { SourceFile } from "./source-files.ts"

/** Each may import those before it, never back. */
const serviceOrder = ["identity", "quota", "image", "placement", "network", "compute"]

/** What the agent and the services both speak; and driver ports that main fills in. */
const sharedContracts = new Set(["server/src/agent/protocol.ts"])

/** What the launcher may reach outside the server: it has the guest image made, and a database for the tests. */
const launcherMayImport = new Set(["guest/build.ts", "server/test/database.ts"])

type Layer = "platform" | "engine" | "service" | "agent" | "api" | "main" | "outside"

function layerOf(path: string): { layer: Layer; part: string } {
  const [, , part = "", ...rest] = path.split("/")
  if (!path.startsWith("server/src/")) return { layer: "outside", part: "" }
  if (rest.length === 0) return { layer: "main", part: "" }
  if (part === "platform" || part === "engine" || part === "agent" || part === "api")
    return { layer: part, part }
  if (part === "launch") return { layer: "main", part }
  return { layer: "service", part }
}

const allowed: Record<Layer, readonly Layer[]> = {
  platform: ["platform"],
  engine: ["platform", "engine"],
  service: ["platform", "engine", "service"],
  agent: ["platform", "agent"],
  api: ["platform", "service", "api"],
  main: ["platform", "engine", "service", "agent", "api", "main"],
  outside: ["outside", "platform", "engine", "service", "agent", "api", "main"],
}

export function checkLayering(files: readonly SourceFile[]): string[] {
  const problems: string[] = []
  for (const file of files) {
    // A test may start what its code runs on (a database, an engine).
    if (file.path.endsWith(".test.ts")) continue
    const from = layerOf(file.path)
    for (const { target } of file.imports) {
      if (target === null || sharedContracts.has(target)) continue
      const to = layerOf(target)
      if (from.part === "launch" && launcherMayImport.has(target)) continue
      if (!allowed[from.layer].includes(to.layer)) {
        problems.push(`${file.path} (${from.layer}) may not import ${target} (${to.layer})`)
      } else if (to.layer === "service" && from.part !== to.part) {
        problems.push(...checkServiceImport(file.path, from.part, target, to.part, from.layer))
      }
    }
  }
  return problems
}

function checkServiceImport(
  path: string,
  fromPart: string,
  target: string,
  toPart: string,
  layer: Layer,
): string[] {
  const isDriver = target.includes("/driver/")
  if (layer === "main" && isDriver) return []
  if (layer !== "outside" && !target.endsWith(`src/${toPart}/index.ts`)) {
    return [`${path} may import ${toPart} only through its index.ts, not ${target}`]
  }
  if (layer === "service" && serviceOrder.indexOf(toPart) >= serviceOrder.indexOf(fromPart)) {
    return [`${path}: ${fromPart} may not import ${toPart}; the order is ${serviceOrder.join(", ")}`]
  }
  return []
}

/** Cycles of value imports; a type-only import makes none at run time. */
export function findCycles(files: readonly SourceFile[]): string[] {
  const graph = new Map(
    files.map((f) => [f.path, f.imports.filter((i) => !i.isTypeOnly && i.target).map((i) => i.target ?? "")]),
  )
  const state = new Map<string, "open" | "done">()
  const cycles: string[] = []
  const visit = (path: string, trail: string[]): void => {
    const known = state.get(path)
    if (known === "done") return
    if (known === "open") {
      cycles.push([...trail.slice(trail.indexOf(path)), path].join(" -> "))
      return
    }
    state.set(path, "open")
    for (const next of graph.get(path) ?? []) if (graph.has(next)) visit(next, [...trail, path])
    state.set(path, "done")
  }
  for (const path of graph.keys()) visit(path, [])
  return cycles
}
