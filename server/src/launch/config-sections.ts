// Declares every section of the configuration without loading a service, so that a wrong configuration is refused
// before anything is started, and engines start while the services load.
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"

const source = join(import.meta.dirname, "..")

/** A service's section, and those of what is below the services, are each in their folder's config.ts. */
export async function declareConfigSections(): Promise<void> {
  const folders = [source, join(source, "platform")].flatMap((parent) =>
    readdirSync(parent).map((name) => join(parent, name)),
  )
  const files = [...folders, join(source, "agent/hypervisor/fake")].map((folder) => join(folder, "config.ts"))
  await Promise.all(files.filter(existsSync).map((file) => import(pathToFileURL(file).href)))
}
