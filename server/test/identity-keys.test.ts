import assert from "node:assert/strict"
import { test } from "node:test"
import { answerKeys, type KeysAnswer } from "../src/launch/keys-answer.ts"
import { Fault } from "../src/platform/fault/fault.ts"
import { startTestCloud } from "./cloud.ts"

function rolesOf(answer: KeysAnswer): string[] {
  assert.ok("keys" in answer)
  return answer.keys.map((key) => `${key.ring} ${key.number} ${key.role}`)
}

test("kumoi keys lists and rotates; a token of before is good after a restart with the new keys", async () => {
  await using first = await startTestCloud()
  const token = await first.token({ user: "demo" })
  const { platform } = first.cloud
  const rotated = await answerKeys(platform, { action: "rotate", ring: null })
  assert.deepEqual(rotated, {
    rotations: [
      { ring: "token", primary: 2, removed: [], renewed: 0 },
      { ring: "receipt", primary: 2, removed: [], renewed: 0 },
    ],
  })
  assert.deepEqual(rolesOf(await answerKeys(platform, { action: "list", ring: "token" })), [
    "token 1 former",
    "token 2 primary",
    "token 3 staged",
  ])
  for (const wrong of [
    undefined,
    {},
    { action: "list" },
    { action: "burn", ring: null },
    { action: "list", ring: "x" },
  ])
    await assert.rejects(
      answerKeys(platform, wrong),
      (error) => error instanceof Fault && error.kind === "invalid",
    )
  await first.stop()
  await using second = await startTestCloud({ continueFrom: first })
  const reply = await second.request("GET", "/identity/v3/auth/projects", { token })
  assert.equal(reply.status, 200)
  await second.stop()
})
