import assert from "node:assert/strict"
import { test } from "node:test"
import type { HostDescription } from "../../../agent/protocol.ts"
import { keptHardware } from "../../guest-hardware/hardware.ts"
import { hostState, room, scheduleOptions, scheduleRequest } from "../../testing/schedule-case.ts"
import type { HostState } from "../host-state.ts"
import { askedResourcesFilter } from "./asked-resources.ts"
import { askedTraitsFilter } from "./asked-traits.ts"
import type { Filter } from "./filter.ts"
import { guestHardwareFilter } from "./guest-hardware.ts"

const request = (extraSpecs: Record<string, string>, resources: Record<string, number> = {}) =>
  scheduleRequest({ resources, hardware: keptHardware({ vcpus: 2, ramMib: 512, extraSpecs }, null) })

function refusal(filter: Filter, asked: ReturnType<typeof request>, host: Partial<HostState>) {
  const options = scheduleOptions()
  assert.equal(filter.isAsked?.(asked, options), true)
  return filter.refuse(hostState("h", host), asked, options)
}

const own = hostState("h").description
type Given = NonNullable<HostDescription["guestHardware"]>
const giving = (change: Partial<Given>): Partial<HostState> => ({
  description: own && {
    ...own,
    guestHardware: { cpuLimitsProblem: null, pages: [], dedicatedCpus: 0, ...change },
  },
})

test("none of them is asked for an ordinary server", () => {
  for (const filter of [guestHardwareFilter, askedResourcesFilter, askedTraitsFilter])
    assert.equal(filter.isAsked?.(scheduleRequest(), scheduleOptions()), false)
})

test("a host gives what its program and its kernel can", () => {
  const cells = request({ "hw:numa_nodes": "2" })
  assert.equal(refusal(guestHardwareFilter, cells, giving({})), null)
  assert.match(String(refusal(guestHardwareFilter, cells, {})?.why), /its program is older/)
  const bounded = request({ "quota:cpu_shares": "512" })
  assert.equal(refusal(guestHardwareFilter, bounded, giving({})), null)
  const refused = refusal(guestHardwareFilter, bounded, giving({ cpuLimitsProblem: "/sys is read-only" }))
  assert.deepEqual(
    [refused?.why, refused?.forUser],
    ["it cannot bound processor time: /sys is read-only", "it cannot bound processor time"],
  )
})

test("pages must be there, enough of them, and come out even", () => {
  const pages = (sizeKib: number, total: number, free = total) =>
    giving({ pages: [{ sizeKib, total, free }] })
  const ask = (size: string, host: Partial<HostState>) =>
    refusal(guestHardwareFilter, request({ "hw:mem_page_size": size }), host)?.why
  assert.equal(ask("2MB", pages(2048, 256)), undefined)
  assert.equal(ask("large", pages(2048, 256)), undefined)
  assert.equal(ask("any", giving({})), undefined)
  assert.equal(ask("2MB", pages(1024 ** 2, 4)), "it has no pages of 2048 KiB")
  assert.equal(ask("large", pages(2048, 0)), "it has no pages larger than 4 KiB")
  assert.match(String(ask("large", pages(2048, 256, 255))), /not enough free/)
  assert.match(String(ask("1GB", pages(1024 ** 2, 4))), /no whole number of them/)
})

test("rarer resources must be free, and of one host", () => {
  const ask = (rooms: HostState["rooms"]) =>
    refusal(askedResourcesFilter, request({}, { VCPU: 0, PCPU: 2 }), { rooms })
  assert.equal(ask({ PCPU: room(2) }), null)
  assert.equal(ask({ PCPU: room(4, 3) })?.why, "1 PCPU are free of 4, and 2 are asked for")
  assert.deepEqual(
    [ask({})?.why, ask({})?.fix],
    ["it has no PCPU", "agent.cpuDedicatedSet in the host's configuration"],
  )
  const apart = { "resources1:CUSTOM_A": "1", "resources2:CUSTOM_A": "1", group_policy: "isolate" }
  assert.match(String(refusal(askedResourcesFilter, request(apart), {})?.why), /a host is one$/)
})

test("traits are there, or not there", () => {
  const ask = (extraSpecs: Record<string, string>, ...traits: string[]) =>
    refusal(askedTraitsFilter, request(extraSpecs), { traits })?.why
  assert.equal(ask({ "trait:CUSTOM_A": "required" }, "CUSTOM_A", "B"), undefined)
  assert.equal(ask({ "trait:CUSTOM_A": "required" }, "B"), "it does not have CUSTOM_A")
  assert.equal(ask({ "trait1:CUSTOM_A": "forbidden" }, "CUSTOM_A"), "it has CUSTOM_A")
  assert.equal(
    ask({ "hw:tpm_version": "2.0" }),
    "it does not have COMPUTE_SECURITY_TPM_2_0, COMPUTE_SECURITY_TPM_TIS",
  )
})
