// Hints name servers of one's own project: where another's servers are is neither told nor chosen.
import { after, before, test } from "node:test"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"

let c: ServerCloud
before(async () => {
  c = await startServerCloud()
})
after(async () => await c[Symbol.asyncDispose]())

async function createBeside(hints: Record<string, string>): Promise<string> {
  const body = {
    server: { name: "hinted", imageRef: c.imageId, flavorRef: c.flavorId, networks: "none" },
    "os:scheduler_hints": hints,
  }
  const { body: made } = await c.call("POST", "/servers", body)
  return made.server.id
}

test("another project's server counts as none", async () => {
  const foreign = await c.create({ networks: "none" }, { token: c.admin })
  await c.reaches(foreign, "ACTIVE")
  const own = await c.create()
  await c.reaches(own, "ACTIVE")
  // There is one host: away from one's own server there is no place, away from another's that is not known.
  await c.reaches(await createBeside({ different_host: own }), "ERROR")
  await c.reaches(await createBeside({ different_host: foreign }), "ACTIVE")
  await c.reaches(await createBeside({ same_host: own }), "ACTIVE")
  await c.reaches(await createBeside({ same_host: foreign }), "ERROR")
})
