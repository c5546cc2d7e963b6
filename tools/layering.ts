// Imports go one way, those of types too: platform <- engine <- services <- main <- launch. A service sees another
// only through its index.ts, and only those before it in the list of services.ts. A service's wires (its folders
// openstack-…) are on top of it: only its service.ts knows them. The agent is apart: no service, no SQL. What lies in
// a folder `testing` is for tests alone: it may import anything, and only tests import it. So are
// stories (`…-story.ts`, `…-world.ts`), which tests run in processes of their own.
import { folderOf } from "../server/src/engine/service.ts"
import { services } from "../server/src/services.ts"
import type { SourceFile } from "./source-files.ts"

/** Folders of the services: each may import those before it, never back. */
export const serviceOrder: readonly string[] = services.map(folderOf)

/** What the agent and the services both speak; and driver ports that main fills in. */
const sharedContracts = new Set(["server/src/agent/protocol.ts", "server/src/agent/door-protocol.ts"])

/** What the launcher may reach outside the server: it has the guest image made, and a database for the tests. */
const launcherMayImport = new Set(["guest/build.ts", "server/test/database.ts"])

type Layer = "platform" | "engine" | "service" | "agent" | "api" | "wire" | "main" | "launch" | "outside"

interface Place {
  layer: Layer
  /** The service, or the folder. */
  part: string
}

function layerOf(path: string): Place {
  const [, , part = "", ...rest] = path.split("/")
  if (!path.startsWith("server/src/")) return { layer: "outside", part: "" }
  if (rest.length === 0) return { layer: part === "cli.ts" ? "launch" : "main", part: "" }
  if (rest.includes("testing") || /-(story|world)\.ts$/.test(path)) return { layer: "outside", part: "" }
  if (part === "platform" || part === "engine" || part === "agent" || part === "api" || part === "launch")
    return { layer: part, part }
  return { layer: rest[0]?.startsWith("openstack-") ? "wire" : "service", part }
}

const allowed: Record<Layer, readonly Layer[]> = {
  platform: ["platform"],
  engine: ["platform", "engine"],
  service: ["platform", "engine", "service"],
  agent: ["platform", "agent"],
  /** What the wires of one family share. */
  api: ["platform", "service", "api"],
  wire: ["platform", "service", "api", "wire"],
  main: ["platform", "engine", "service", "agent", "api", "main"],
  launch: ["platform", "engine", "service", "agent", "api", "main", "launch"],
  outside: ["outside", "platform", "engine", "service", "agent", "api", "wire", "main", "launch"],
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
      if (from.layer === "launch" && launcherMayImport.has(target)) continue
      if (isDeclaration(file.path, from, target, to)) continue
      if (!allowed[from.layer].includes(to.layer)) {
        problems.push(`${file.path} (${from.layer}) may not import ${target} (${to.layer})`)
      } else if ((to.layer === "service" || to.layer === "wire") && from.part !== to.part) {
        problems.push(...checkServiceImport(file.path, from, target, to))
      }
    }
  }
  return problems
}

/** services.ts names every service; a service's own service.ts names its wires. */
function isDeclaration(path: string, from: Place, target: string, to: Place): boolean {
  if (path === "server/src/services.ts") return target === `server/src/${to.part}/service.ts`
  return path === `server/src/${from.part}/service.ts` && to.layer === "wire" && to.part === from.part
}

function checkServiceImport(path: string, from: Place, target: string, to: Place): string[] {
  const wiresDrivers = from.layer === "main" || from.layer === "launch"
  if (wiresDrivers && target.includes("/driver/")) return []
  if (from.layer === "outside") return []
  if (target !== `server/src/${to.part}/index.ts`)
    return [`${path} may import ${to.part} only through its index.ts, not ${target}`]
  const isOfService = from.layer === "service" || from.layer === "wire"
  if (isOfService && serviceOrder.indexOf(to.part) >= serviceOrder.indexOf(from.part))
    return [`${path}: ${from.part} may not import ${to.part}; the order is ${serviceOrder.join(", ")}`]
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
