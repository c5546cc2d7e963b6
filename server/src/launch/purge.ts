// What `down --purge` removes: what the cloud made, by name. What somebody else put into the data directory stays.
import { readdirSync, rmdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { type CloudDir, outsidePaths } from "./cloud-dir.ts"

const ownNames: ReadonlySet<string> = new Set([
  "agent",
  "blank.raw",
  "clouds.yaml",
  "control.json",
  "control.yaml",
  "database.json",
  "endpoint.json",
  "fleet",
  "fleet.json",
  "host.json",
  "hosts",
  "identity",
  "image",
  "images",
  "log",
  "member",
  "openrc-admin",
  "openrc-demo",
  "ovn",
  "passwords.json",
  "postgres",
  "public-network.json",
  "restoring.json",
  "run",
  "settings.json",
  "snapshots",
  "tls",
  "volume-backups",
])

const ownForms = [
  /^postgres\.(new|restoring|restoring\.new)$/,
  /^(postgres\.)?before-restore-\d{8}T\d{6}$/,
  // A write that was interrupted (writeWhole).
  /^(cloud|control|database|endpoint|fleet|host|passwords|public-network|restoring|settings)\.json\.tmp$/,
  /^(clouds\.yaml|control\.yaml|openrc-admin|openrc-demo)\.tmp$/,
]

/** What an operator writes for the cloud, before or after it is made. */
const operatorNames: ReadonlySet<string> = new Set(["policy.yaml", "policy.d"])

/** Names in a directory without a cloud that a cloud would not share a directory with. */
export function foreignNames(path: string): string[] {
  // `log` is there when an `up --detach` got no further.
  return namesIn(path).filter((name) => name !== "log" && !operatorNames.has(name))
}

/** Resolves with what stays: names in the data directory that are not the cloud's. */
export function purge(dir: CloudDir): string[] {
  const before = new Set(dir.facts.foundNames)
  const isOwn = (name: string) =>
    !before.has(name) && (ownNames.has(name) || ownForms.some((form) => form.test(name)))
  for (const name of namesIn(dir.path)) if (isOwn(name)) remove(join(dir.path, name))
  for (const path of [...outsidePaths(dir.facts.cloudId), dir.runDir]) remove(path)
  // Last: as long as it is there, a purge that was interrupted can be done again.
  remove(join(dir.path, "cloud.json"))
  const left = namesIn(dir.path)
  if (left.length > 0) return left
  try {
    rmdirSync(dir.path)
  } catch {
    // A link or a mount point: not ours, and empty now.
  }
  return []
}

function remove(path: string): void {
  rmSync(path, { recursive: true, force: true })
}

function namesIn(path: string): string[] {
  try {
    return readdirSync(path).sort()
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return []
    throw error
  }
}
