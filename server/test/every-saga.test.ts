// Every saga of every service stands what the engine may do to it: each step run twice, a failure before and after
// each step, each undo twice. And a list of steps does not change under the rows that are on their way.
import assert from "node:assert/strict"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, describe, test } from "node:test"
import { sagaHarness } from "../src/engine/saga/harness.ts"
import type { AnySaga } from "../src/engine/saga/saga.ts"
import { services } from "../src/services.ts"
import { freePort } from "./free-port.ts"
import { startServerCloud } from "./server-cloud.ts"
import { sagaCasesOf, testingFile, testingPath } from "./service-cases.ts"

const ofServices = await Promise.all(
  services.map(async (service) => ({ service, cases: await sagaCasesOf(service) })),
)
const lineOf = (saga: AnySaga) =>
  `${saga.name}@${saga.version} → ${saga.steps.map((step) => step.name).join(", ")}`

for (const { service, cases } of ofServices) {
  if (service.sagas.length === 0 && Object.keys(cases).length === 0) continue
  test(`${service.name}: each saga has a case, and each case its saga`, () => {
    assert.deepEqual(
      Object.keys(cases).sort(),
      [...new Set(service.sagas.map((saga) => saga.name))].sort(),
      `Give the saga a case in ${testingFile(service, "saga-cases.ts")} (or take away the case of one that is gone).`,
    )
  })

  test(`${service.name}: the steps of a saga change only with its version`, async () => {
    const golden = testingFile(service, "sagas.golden.txt")
    const kept = await readFile(testingPath(service, "sagas.golden.txt"), "utf8").catch(() => "")
    assert.equal(
      kept,
      `${service.sagas.map(lineOf).sort().join("\n")}\n`,
      "Rows that are on their way remember the steps by name: give a changed saga a new version, then bring " +
        `${golden} in line with what is expected here.`,
    )
  })
}

// One cloud for all: each case makes a server of its own and takes it away again.
const secondStore = await mkdtemp(join(tmpdir(), "kumoi-second-store-"))
const cloud = await startServerCloud({
  hasOtherBackend: true,
  sharesVolumes: true,
  overrides: {
    "image.stores": [
      { id: "second", type: "file", directory: secondStore },
      { id: "web", type: "http" },
    ],
    ...{ "image.webDownloadCidrs": ["127.0.0.1/32"], "image.webDownloadPorts": [await freePort()] },
    ...{ "compute.quota.instances": -1, "compute.quota.cores": -1 },
    ...{
      "blockStorage.quota.volumes": -1,
      "blockStorage.quota.snapshots": -1,
      "blockStorage.quota.gigabytes": -1,
      "blockStorage.quota.backups": -1,
      "blockStorage.quota.backupGigabytes": -1,
    },
  },
})
after(async () => {
  await cloud[Symbol.asyncDispose]()
  await rm(secondStore, { recursive: true })
})

describe("every saga", () => {
  for (const [saga, found] of ofServices.flatMap(({ service, cases }) =>
    service.sagas.map((each) => [each, cases[each.name]] as const),
  )) {
    if (!found) continue
    const { arrange, pointOfNoReturn } = found
    const open = async () => {
      const { params, assertDone, assertUnwound } = await arrange(cloud)
      return {
        platform: cloud.cloud.cloud.platform,
        saga,
        arrange: async () => params,
        assertDone,
        assertUnwound: (_params: unknown, step: string) => assertUnwound(step),
        [Symbol.asyncDispose]: async () => {},
      }
    }
    sagaHarness(saga, open, pointOfNoReturn === undefined ? {} : { pointOfNoReturn })
  }
})
