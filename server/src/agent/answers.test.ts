import assert from "node:assert/strict"
import { test } from "node:test"
import { fits } from "../platform/schema/compiled.ts"
import { agentAnswers } from "./answers.ts"

test("a host that gives a volume to another one names an address, and nothing that has a meaning elsewhere", () => {
  const connection = {
    ...{ kind: "iscsi", portal: "10.1.0.5:3260", target: "iqn.2026-01.cloud.kumoi:volume-1", lun: 1 },
    ...{ user: "volume-1", secret: "0a".repeat(24), initiator: "iqn.2026-01.cloud.kumoi:host-1" },
  }
  const isRight = (change: object) => fits(agentAnswers["volume.connect"], { ...connection, ...change })
  assert.equal(isRight({}), true)
  for (const change of [
    { kind: "file" },
    { portal: "metadata.internal:80" },
    { portal: "10.1.0.5:3260,10.1.0.6:3260" },
    { portal: "[::1]:3260" },
    { target: "iqn.x/1?target_user=y" },
    { target: "iqn.x\ny" },
    { lun: -1 },
    { lun: 1.5 },
    { user: "a%b" },
    { secret: "short" },
    { initiator: "host" },
  ])
    assert.equal(isRight(change), false, JSON.stringify(change))
})
