import assert from "node:assert/strict"
import { test } from "node:test"
import type { ServerExplanation } from "../compute/index.ts"
import { renderExplanation } from "./explain.ts"

const told: ServerExplanation = {
  server: { id: "s1", name: "vm", state: "error", host: null, fault: null },
  resources: { VCPU: 4, MEMORY_MB: 512 },
  hosts: [
    {
      host: "a",
      refusals: [
        { by: "ComputeFilter", why: "it is disabled", fix: "enable it" },
        { by: "VCPU", why: "2 vCPUs are free", fix: null, missing: { what: "vCPUs", wanted: 4, has: 2 } },
      ],
    },
    { host: "b", refusals: [{ by: "ComputeFilter", why: "it is down", fix: "start it" }] },
  ],
  reasons: [
    { by: "ComputeFilter", hosts: 2, text: "ComputeFilter refuses 2 of 2 hosts" },
    { by: "VCPU", hosts: 1, text: "VCPU refuses 1 of 2 hosts; 4 vCPUs wanted, 2 at the most" },
  ],
  smallestChange: { host: "b", changes: ["start it"] },
  forUser: "There are not enough hosts available.",
}

test("every refusal has its line, a host its name once", () => {
  assert.equal(
    renderExplanation(told, 50),
    `server s1 (vm): error, on no host; needs VCPU 4, MEMORY_MB 512
no host would take it now: There are not enough hosts available.
ComputeFilter refuses 2 of 2 hosts
VCPU refuses 1 of 2 hosts; 4 vCPUs wanted, 2 at the most
smallest change: b: start it

HOST  BY             WHY               CHANGE
a     ComputeFilter  it is disabled    enable it
      VCPU           2 vCPUs are free  -
b     ComputeFilter  it is down        start it
`,
  )
  assert.match(renderExplanation(told, 2), /and 1 more lines; --all shows them\n$/)
})
