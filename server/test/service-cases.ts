// What a service says for the tests that are the same for all of them, in its folder `testing`. The list of services is
// that of the program: who is there is asked, and told what is missing.
import { existsSync } from "node:fs"
import { join } from "node:path"
import { folderOf } from "../src/engine/service.ts"
import { services } from "../src/services.ts"
import type { ServiceFixture } from "./foreign-ids/fixture.ts"
import type { NounFixture } from "./noun-lists/fixture.ts"
import type { SagaCaseEntry } from "./saga-case.ts"

type Service = (typeof services)[number]

/** From the root of the repository, for what a failing test says. */
export const testingFile = (service: Pick<Service, "name">, file: string) =>
  `server/src/${folderOf(service)}/testing/${file}`

export const testingPath = (service: Pick<Service, "name">, file: string) =>
  join(import.meta.dirname, "../..", testingFile(service, file))

async function read(service: Service, file: string, name: string): Promise<unknown> {
  const path = testingPath(service, file)
  if (!existsSync(path)) return undefined
  const exported: Record<string, unknown> = await import(path)
  if (!(name in exported)) throw new Error(`${testingFile(service, file)} exports no ${name}`)
  return exported[name]
}

/** Of each service with an API: `testing/foreign-ids.ts`, one fixture or one for each API. */
export async function foreignIdFixtures(): Promise<ServiceFixture[]> {
  const found: ServiceFixture[] = []
  for (const service of services) {
    if (service.apis.length === 0) continue
    const fixtures = await read(service, "foreign-ids.ts", "foreignIds")
    if (fixtures === undefined)
      throw new Error(
        `${testingFile(service, "foreign-ids.ts")} is missing: it exports \`foreignIds: ServiceFixture\`, which says ` +
          "how one of everything is made and what the routes' ids name (docs/how-to/add-an-operation.md, step 8)",
      )
    // The files of that name all export it so; the types are checked where they are declared.
    found.push(...[fixtures as ServiceFixture | ServiceFixture[]].flat())
  }
  return found
}

/** Of each service with sagas: `testing/saga-cases.ts`, by the saga's name. */
export async function sagaCasesOf(service: Service): Promise<Readonly<Record<string, SagaCaseEntry>>> {
  const cases = await read(service, "saga-cases.ts", "sagaCases")
  // As above.
  return (cases ?? {}) as Readonly<Record<string, SagaCaseEntry>>
}

/** Of each service with nouns: `testing/noun-lists.ts`, by the service's name. */
export async function nounListFixtures(): Promise<Readonly<Record<string, readonly NounFixture[]>>> {
  const found: Record<string, readonly NounFixture[]> = {}
  for (const service of services) {
    const nouns = await read(service, "noun-lists.ts", "nounLists")
    // As above.
    found[service.name] = (nouns ?? []) as readonly NounFixture[]
  }
  return found
}
