import assert from "node:assert/strict"
import { test } from "node:test"
import { planDrivers } from "./plan.ts"

const isRoot = process.getuid?.() === 0

test("QEMU's user is not the one to whom the database belongs", { skip: !isRoot }, async () => {
  const agent = { volumeBackEnds: [], storageNetworks: [] } as unknown as Parameters<typeof planDrivers>[0]
  const plan = await planDrivers({ ...agent, hypervisor: "qemu", network: "fake", isYes: true }, () => {})
  const [engine, guest] = [plan.engineUser?.uid ?? 0, plan.guestUser?.uid ?? 0]
  assert.ok(engine > 0 && guest > 0 && engine !== guest, `${engine} and ${guest}`)
})
