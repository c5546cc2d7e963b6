import assert from "node:assert/strict"
import { test } from "node:test"
import { checkSpecs } from "./spec-forms.ts"

const refused = (spec: string, value: string, why: RegExp) =>
  assert.throws(() => checkSpecs({ [spec]: value }), { message: why, code: "compute.bad_request" })

test("what Nova knows passes, and what it does not know of", () => {
  checkSpecs({
    ...{
      "hw:cpu_policy": "dedicated",
      "hw:numa_nodes": "2",
      "hw:numa_cpus.1": "0-3,^2",
      "hw:boot_menu": "Yes",
    },
    ...{ "hw_rng:allowed": "True", "quota:disk_read_iops_sec": "100", "quota:cpu_quota": "-1" },
    ...{ "resources:VCPU": "2", "resources1:CUSTOM_FPGA": "1", "resources_A:DISK_GB": "0" },
    ...{ "trait:HW_CPU_X86_AVX2": "required", "trait1:CUSTOM_GOLD": "forbidden", group_policy: "none" },
    ...{ "capabilities:cpu_info:features": "x", "capabilities:hypervisor_type": "QEMU" },
    ...{ "aggregate_instance_extra_specs:ssd": "true", "pci_passthrough:alias": "gpu:1, nic:2" },
    ...{ "mine:anything": "goes", anything: "goes", "accel:device_profile": "p" },
  })
})

test("a long value that is nearly right is refused at once", () => {
  for (const [spec, part] of [
    ["hw:pmem", "a"],
    ["hw:numa_cpus.1", "1,"],
    ["hw:cpu_realtime_mask", "1-1,"],
  ] as const)
    refused(spec, `${part.repeat(100)}!`, /is not of the format/)
})

test("what is no spec of a known namespace is refused, and so is a value that it cannot have", () => {
  const unknown = /^Validation failed; extra spec '.+' does not appear to be a valid extra spec\.$/
  for (const spec of ["hw:cpu_polcy", "quota:disk_read_iops", "resources:WHEELS", "trait:NONE", "os:x"])
    refused(spec, "1", unknown)
  refused(
    "hw:cpu_policy",
    "sharing",
    /^Validation failed; 'sharing' is not one of: dedicated, shared, mixed\.$/,
  )
  refused("hw:numa_nodes", "0", /'0' is less than the min value of '1'/)
  refused("hw:redirected_usb_ports", "16", /'16' is greater than the max value of '15'/)
  refused("hw:numa_nodes", "two", /'two' is not a valid integer value/)
  refused("hw:boot_menu", "perhaps", /'perhaps' is not a valid boolean-like value/)
  refused("hw:mem_page_size", "huge", /'huge' is not of the format/)
  refused("trait:CUSTOM_GOLD", "wanted", /is not one of: required, forbidden/)
  refused("group_policy", "any", /is not one of: isolate, none/)
})
