import assert from "node:assert/strict"
import { test } from "node:test"
import { hostState, scheduleOptions, scheduleRequest } from "../../testing/schedule-case.ts"
import { physicalNetworkFilter } from "./physical-network.ts"

const refuse = (reached: string[] | null, ...physicalNetworks: string[]) =>
  physicalNetworkFilter.refuse(
    hostState("h", { physicalNetworks: reached }),
    scheduleRequest({ physicalNetworks }),
    scheduleOptions(),
  )

test("a host must reach each physical network; one that did not say is taken at no word", () => {
  assert.equal(physicalNetworkFilter.isAsked?.(scheduleRequest(), scheduleOptions()), false)
  assert.equal(refuse(["public", "dc"], "public", "dc"), null)
  assert.equal(refuse(null, "dc"), null)
  assert.equal(refuse(["public"], "public", "dc")?.why, "it does not reach the physical network dc")
  assert.match(String(refuse([], "dc")?.fix), /map dc to a bridge of this host/)
  assert.doesNotMatch(String(refuse([], "dc")?.forUser), /dc/, "physical networks are for operators")
})
