// Every saga of every service stands what the engine may do to it: each step run twice, a failure before and after
// each step, each undo twice. And a list of steps does not change under the rows that are on their way.
import assert from "node:assert/strict"
import { readFile } from "node:fs/promises"
import { after, describe, test } from "node:test"
import { sagaHarness } from "../src/engine/saga/harness.ts"
import { services } from "../src/services.ts"
import { sagaCases } from "./saga-cases.ts"
import { startServerCloud } from "./server-cloud.ts"

const sagas = services.flatMap((service) => [...service.sagas])
const golden = new URL("./sagas.golden.txt", import.meta.url)
const lineOf = (saga: (typeof sagas)[number]) =>
  `${saga.name}@${saga.version} → ${saga.steps.map((step) => step.name).join(", ")}`

test("each saga has a case, and each case its saga", () => {
  const names = sagas.map((saga) => saga.name)
  assert.deepEqual(
    Object.keys(sagaCases).sort(),
    [...new Set(names)].sort(),
    "Give the saga a case in server/test/saga-cases.ts (or take away the case of one that is gone).",
  )
})

test("the steps of a saga change only with its version", async () => {
  assert.equal(
    `${sagas.map(lineOf).sort().join("\n")}\n`,
    await readFile(golden, "utf8"),
    "Rows that are on their way remember the steps by name: give the changed saga a new version, then bring " +
      "server/test/sagas.golden.txt in line.",
  )
})

// One cloud for all: each case makes a server of its own and takes it away again.
const cloud = await startServerCloud({
  overrides: { "compute.quota.instances": -1, "compute.quota.cores": -1 },
})
after(() => cloud[Symbol.asyncDispose]())

describe("every saga", () => {
  for (const saga of sagas) {
    const found = sagaCases[saga.name]
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
