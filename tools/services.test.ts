// A service says everything of itself in its service.ts: nothing that it declares is left out there, and what it says
// twice agrees.
import assert from "node:assert/strict"
import { test } from "node:test"
import { folderOf } from "../server/src/engine/service.ts"
import { services } from "../server/src/services.ts"
import { readSourceFiles } from "./source-files.ts"

const files = readSourceFiles().filter(({ path }) => !path.endsWith(".test.ts"))
const folder = (name: string) => `server/src/${folderOf({ name })}/`
const filesOf = (name: string) => files.filter(({ path }) => path.startsWith(folder(name)))
const serviceFile = (name: string) => `${folder(name)}service.ts`

for (const { name, apis, catalog, classicPorts = [], quota, sagas } of services) {
  test(`${name}: its name is words with _ between them`, () => {
    assert.match(name, /^[a-z]+(_[a-z]+)*$/, "its SQL schema, its operations and its faults have it")
  })

  test(`${name}: its folder has its name`, () => {
    assert.ok(
      files.some(({ path }) => path === serviceFile(name)),
      `the service ${name} is declared in ${serviceFile(name)}`,
    )
  })

  test(`${name}: the catalog and the usual ports lead to its APIs`, () => {
    const roots = apis.flatMap(({ mounts, version }) =>
      mounts.flatMap((mount) => [mount, `${mount}${version}`]),
    )
    const path = catalog?.path.replace(/\/\$\(project_id\)s$/, "")
    if (path !== undefined)
      assert.ok(roots.includes(path), `catalog.path is ${path}; its APIs lie at ${roots.join(", ")}`)
    const mounts = apis.flatMap((api) => api.mounts)
    for (const { port, mount } of classicPorts)
      assert.ok(
        mounts.includes(mount),
        `port ${port} leads to ${mount}; its APIs lie at ${mounts.join(", ")}`,
      )
  })

  test(`${name}: its quota is in its service.ts, under its name`, () => {
    const declared = filesOf(name).find(({ text }) => /= declareQuota\(/.test(text))
    if (declared) assert.ok(quota, `${declared.path} declares a quota: say \`quota\` in ${serviceFile(name)}`)
    if (quota) assert.equal(quota.service, name)
  })

  test(`${name}: its sagas are in its service.ts`, () => {
    const listed = new Set(sagas.map((saga) => saga.name))
    const left = filesOf(name).flatMap(({ path, text }) =>
      [...text.matchAll(/\bsaga<[^(]*>\(\s*"([\w.]+)"/g)]
        .filter(([, saga = ""]) => !listed.has(saga))
        .map(
          ([, saga]) =>
            `${path}: ${saga} is not among \`sagas\` of ${serviceFile(name)}; nobody would run it`,
        ),
    )
    assert.deepEqual(left, [])
  })
}
