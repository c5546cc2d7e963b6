import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { type Form, mistakeOf } from "../flavor/spec-form.ts"
import { extraSpecs } from "../flavor/spec-forms.ts"
import { checkHardware, keptHardware } from "./hardware.ts"
import { imageProperties } from "./image-properties.ts"

const flavor = (extra: Record<string, string>, vcpus = 4, ramMib = 1024) => ({
  vcpus,
  ramMib,
  extraSpecs: extra,
})
const image = (properties: Record<string, string>) => ({ properties })
const hardware = (specs: Record<string, string>, properties: Record<string, string> = {}) => {
  checkHardware(flavor(specs), image(properties))
  return keptHardware(flavor(specs), image(properties))
}
const refused = (specs: Record<string, string>, why: RegExp, properties: Record<string, string> = {}) =>
  assert.throws(() => checkHardware(flavor(specs), image(properties)), {
    message: why,
    code: "compute.bad_request",
  })

describe("cells, by Nova's rules", () => {
  test("they are even unless each is described", () => {
    assert.deepEqual(hardware({ "hw:numa_nodes": "2" }).machine, {
      cells: [
        { cpus: [0, 1], memoryMib: 512 },
        { cpus: [2, 3], memoryMib: 512 },
      ],
    })
    const specs = {
      ...{ "hw:numa_nodes": "2", "hw:numa_cpus.0": "0-2", "hw:numa_mem.0": "768" },
      ...{ "hw:numa_cpus.1": "3", "hw:numa_mem.1": "256" },
    }
    assert.deepEqual(hardware(specs).machine?.cells, [
      { cpus: [0, 1, 2], memoryMib: 768 },
      { cpus: [3], memoryMib: 256 },
    ])
    assert.equal(hardware({}).machine, null)
  })
  test("an image may ask for them where its flavor does not", () => {
    assert.equal(hardware({}, { hw_numa_nodes: "4" }).machine?.cells?.length, 4)
    refused({ "hw:numa_nodes": "2" }, /'hw_numa_nodes' is not permitted to override NUMA/, {
      hw_numa_nodes: "2",
    })
  })
  test("what does not come out is refused in Nova's words", () => {
    refused({ "hw:numa_nodes": "3" }, /^Instance CPUs and\/or memory cannot be evenly distributed across/)
    refused(
      { "hw:numa_nodes": "0" },
      /^The property 'numa_nodes' cannot be '0'\. It must be a number greater than 0$/,
    )
    const two = { "hw:numa_nodes": "2", "hw:numa_cpus.0": "0-1", "hw:numa_cpus.1": "2-3" }
    refused(two, /^CPU and memory allocation must be provided for all NUMA nodes$/)
    const both = { ...two, "hw:numa_mem.0": "512", "hw:numa_mem.1": "512" }
    refused({ ...both, "hw:numa_cpus.1": "2-4" }, /^CPU number 4 is larger than max 3$/)
    refused({ ...both, "hw:numa_cpus.1": "1-3" }, /^CPU number 1 is assigned to two nodes$/)
    refused({ ...both, "hw:numa_cpus.1": "2" }, /^CPU number \{3\} is not assigned to any node$/)
    refused({ ...both, "hw:numa_mem.1": "500" }, /^1012 MB of memory assigned, but expected 1024 MB$/)
  })
})

describe("processors of their own, by Nova's rules", () => {
  test("they are asked for of placement, and the guest has a cell", () => {
    const dedicated = hardware({ "hw:cpu_policy": "dedicated" })
    assert.deepEqual(dedicated.resources, { VCPU: 0, PCPU: 4 })
    assert.deepEqual(dedicated.machine?.pinnedCpus, [0, 1, 2, 3])
    assert.equal(dedicated.machine?.cells?.length, 1)
    const mixed = hardware({ "hw:cpu_policy": "mixed", "hw:cpu_dedicated_mask": "^0-1" })
    assert.deepEqual([mixed.resources, mixed.machine?.pinnedCpus], [{ VCPU: 2, PCPU: 2 }, [2, 3]])
    const isolated = hardware({ "hw:cpu_policy": "dedicated", "hw:emulator_threads_policy": "isolate" })
    assert.deepEqual([isolated.resources.PCPU, isolated.machine?.isolatesEmulator], [5, true])
    assert.deepEqual(hardware({ "resources:PCPU": "4" }).machine?.pinnedCpus, [0, 1, 2, 3])
    assert.deepEqual(hardware({}, { hw_cpu_policy: "dedicated" }).resources, { VCPU: 0, PCPU: 4 })
    assert.deepEqual(hardware({ "hw:cpu_policy": "dedicated", "hw:cpu_thread_policy": "isolate" }).traits, {
      required: [],
      forbidden: ["HW_CPU_HYPERTHREADING"],
    })
  })
  test("what contradicts itself is refused in Nova's words", () => {
    refused(
      { "hw:cpu_policy": "shared" },
      /'hw_cpu_policy' is not permitted to override CPU pinning policy/,
      {
        hw_cpu_policy: "dedicated",
      },
    )
    refused({ "hw:cpu_thread_policy": "isolate" }, /^Cannot set cpu thread pinning policy in a non dedicated/)
    refused({ "hw:emulator_threads_policy": "isolate" }, /requires a dedicated CPU policy option/)
    refused(
      { "hw:cpu_dedicated_mask": "1" },
      /^Cannot specify 'hw:cpu_dedicated_mask' without the 'mixed' policy/,
    )
    refused({ "hw:cpu_policy": "mixed" }, /^Dedicated CPU set can be specified from either/)
    refused({ "hw:cpu_policy": "dedicated", "resources:VCPU": "4" }, /use one or the other$/)
    refused({ "resources:PCPU": "3" }, /you must allocate exactly flavor\.vcpus PCPUs$/)
  })
})

test("pages of memory, by Nova's rules", () => {
  const size = (specs: Record<string, string>, properties = {}) =>
    hardware(specs, properties).machine?.pageSize
  assert.equal(size({ "hw:mem_page_size": "2MB" }), 2048)
  assert.equal(size({ "hw:mem_page_size": "2048" }), 2048)
  assert.equal(size({ "hw:mem_page_size": "large" }), "large")
  assert.equal(size({ "hw:mem_page_size": "large" }, { hw_mem_page_size: "1GB" }), 1024 ** 2)
  assert.equal(size({ "hw:mem_page_size": "small" }), undefined)
  assert.equal(hardware({ "hw:mem_page_size": "small" }).machine?.cells?.length, 1)
  refused({}, /^Page size 2048 forbidden against '<empty>'$/, { hw_mem_page_size: "2048" })
  refused({ "hw:mem_page_size": "2048" }, /^Page size 4 forbidden against '2048'$/, { hw_mem_page_size: "4" })
  refused({ "hw:locked_memory": "true" }, /^locked_memory value in image or flavor is forbidden when/)
})

test("sockets, cores and threads: the nearest to what is preferred within the limits", () => {
  const shown = (specs: Record<string, string>, properties: Record<string, string> = {}) => {
    const { properties: p } = hardware(specs, properties)
    return [p.hw_cpu_sockets, p.hw_cpu_cores, p.hw_cpu_threads].join(":")
  }
  assert.equal(shown({}), "4:1:1")
  assert.equal(shown({ "hw:cpu_sockets": "2" }), "2:2:1")
  assert.equal(shown({ "hw:cpu_threads": "2" }), "2:1:2")
  assert.equal(shown({ "hw:cpu_max_sockets": "1" }), "1:4:1")
  assert.equal(shown({ "hw:cpu_sockets": "4" }, { hw_cpu_cores: "4" }), "1:4:1")
  refused({ "hw:cpu_max_sockets": "1" }, /^Image vCPU topology \(sockets=2, cores=0, threads=0\) exceeds/, {
    hw_cpu_sockets: "2",
  })
  refused(
    { "hw:cpu_max_cores": "1", "hw:cpu_max_sockets": "1", "hw:cpu_max_threads": "2" },
    /are impossible to satisfy/,
  )
})

test("a server that was made before all this starts, without what cannot be", () => {
  const kept = keptHardware(flavor({ "hw:numa_nodes": "3" }), image({ hw_disk_bus: "scsi" }))
  assert.deepEqual([kept.machine, kept.resources.VCPU, kept.properties.hw_disk_bus], [null, 4, "scsi"])
})

test("what an image cannot have is told", () => {
  refused({}, /^Invalid image metadata\. Error: Invalid input for hw_disk_bus: 'floppy' is not one of/, {
    hw_disk_bus: "floppy",
  })
  // In another case it would be known by none of those who read it.
  refused({}, /hw_firmware_type: 'UEFI' is not one of: uefi, bios$/, { hw_firmware_type: "UEFI" })
  hardware({}, { hw_scsi_model: "lsiLogic", hw_nonsense: "x", os_type: "Linux", hw_boot_menu: "" })
})

test("firmware that starts only what is signed, by Nova's rules", () => {
  const uefi = { hw_firmware_type: "uefi" }
  const required = hardware({ "os:secure_boot": "required" }, uefi)
  assert.deepEqual(
    [required.properties.os_secure_boot, required.properties.hw_machine_type, required.traits.required],
    ["required", "q35", ["COMPUTE_SECURITY_UEFI_SECURE_BOOT"]],
  )
  const optional = hardware({}, { ...uefi, os_secure_boot: "optional" })
  assert.deepEqual(
    [optional.properties.os_secure_boot, optional.properties.hw_machine_type, optional.traits.required],
    ["optional", undefined, []],
  )
  refused({ "os:secure_boot": "maybe" }, /^Invalid secure boot policy 'maybe'\. Allowed values: required, /)
  refused(
    { "os:secure_boot": "required" },
    /^Flavor has os:secure_boot extra spec explicitly set to required/,
    {
      os_secure_boot: "disabled",
    },
  )
  refused({ "os:secure_boot": "required" }, /hw_firmware_type must be uefi/)
  refused({}, /hw_machine_type is pc, and must be q35/, {
    ...uefi,
    ...{ os_secure_boot: "required", hw_machine_type: "pc" },
  })
})

test("what a flavor has from before its specs were checked is told, not passed over", () => {
  refused(
    { "hw:watchdog_action": "explode" },
    /^Invalid input for hw:watchdog_action: 'explode' is not one of/,
  )
  refused({ "hw:maxphysaddr_mode": "bogus" }, /^Invalid input for hw:maxphysaddr_mode: 'bogus' is not one of/)
  refused({ "trait:CUSTOM_GOLD": "maybe" }, /^Invalid input for trait:CUSTOM_GOLD: 'maybe' is not one of/)
  refused(
    { "hw_rng:allowed": "perhaps" },
    /^Invalid input for hw_rng:allowed: 'perhaps' is not a valid boolean/,
  )
  hardware({ "quota:cpu_limit": "x", "hw:nonsense": "x", "hw:boot_menu": "", mine: "x" })
})

test("numbers that nothing can be are told", () => {
  refused({ "resources:MEMORY_MB": "-5" }, /^Invalid input for resources:MEMORY_MB: -5 is not between 0 and/)
  refused({ "resources1:CUSTOM_A": "2147483648" }, /^Invalid input for resources1:CUSTOM_A/)
  refused({ "hw:mem_page_size": "0" }, /^Invalid memory page size '0'$/)
  refused({ "hw:mem_page_size": "0kB" }, /^Invalid memory page size '0kB'$/)
  refused({ "hw_rng:rate_bytes": "-5" }, /^Invalid input for hw_rng:rate_bytes: -5 is not between/)
  refused(
    { "hw_rng:rate_bytes": "5", "hw_rng:rate_period": "99999999999" },
    /^Invalid input for hw_rng:rate_period/,
  )
  const bits = (value: string) => ({ "hw:maxphysaddr_mode": "emulate", "hw:maxphysaddr_bits": value })
  refused(bits("60"), /^Invalid input for hw:maxphysaddr_bits: 60 is not between 32 and 52/)
  assert.equal(hardware({ "hw_rng:rate_bytes": "0" }).properties.hw_rng_rate_bytes, undefined)
})

test("a flavor with more processors than any host has keeps nobody waiting", () => {
  const vcpus = 2_000_000_000
  const begun = process.cpuUsage()
  checkHardware(flavor({}, vcpus), null)
  for (const specs of [
    { "hw:cpu_policy": "dedicated" },
    { "hw:numa_nodes": "1" },
    { "hw:numa_nodes": "1", "hw:numa_cpus.0": "0", "hw:numa_mem.0": "1024" },
  ])
    assert.throws(() => checkHardware(flavor(specs as Record<string, string>, vcpus), null), {
      message: "Invalid input for vcpus: no guest has 2000000000 processors.",
    })
  // It took a quarter of an hour, or the whole memory.
  assert.ok(process.cpuUsage(begun).user < 30_000_000)
})

/** With what must be there as well for a wish to mean something. */
const contexts: readonly Record<string, string>[] = [
  {},
  { "hw:numa_nodes": "2" },
  { "hw:cpu_policy": "mixed" },
  { "hw:cpu_policy": "dedicated" },
  { "hw:cpu_policy": "mixed", "hw:cpu_realtime": "yes" },
  { "hw:cpu_max_sockets": "1", "hw:cpu_max_cores": "4" },
  { "hw:cpu_max_sockets": "1", "hw:cpu_max_threads": "4" },
  { "hw:cpu_threads": "4" },
  { "hw:mem_page_size": "large" },
  { "hw:mem_encryption": "true" },
  { "hw:ephemeral_encryption": "true" },
  { "hw:tpm_version": "2.0" },
  { "hw_rng:rate_bytes": "1000" },
  { "quota:cpu_quota": "20000" },
  { "resources1:CUSTOM_A": "1", "resources2:CUSTOM_A": "1" },
  { "hw:maxphysaddr_mode": "emulate", "hw:maxphysaddr_bits": "40" },
]
const imageContexts: readonly Record<string, string>[] = [{}, { hw_video_ram: "8" }]

function examples(form: Form): string[] {
  switch (form.kind) {
    case "word":
      return [...form.words]
    case "boolean":
      return ["true", "false"]
    case "integer":
      return ["2", "2000"]
    default:
      return ["1", "0-1", "large", "A", "a:1", "required"]
  }
}

/** What comes of it, or how it is refused. */
function outcome(specs: Record<string, string>, properties: Record<string, string>): string {
  try {
    return JSON.stringify(hardware(specs, properties))
  } catch (error) {
    return String(error)
  }
}

const exampleName = (pattern: string) =>
  pattern
    .replace(/\\\.\\d\+$/, ".0")
    .replace(/^(resources|trait)\(\[[^:]*:.*/, (_, name) => `${name}:CUSTOM_A`)
    .replace(/^trait:\[.*/, "trait:CUSTOM_A")

/** Asked by filters, with hosts. */
const ofFilters = /^(capabilities|aggregate_instance_extra_specs):/

test("every extra spec that is not told to be of no use changes the machine, its place, or is refused", () => {
  const idle = extraSpecs
    .filter(({ form, pattern }) => form.unused === undefined && !ofFilters.test(pattern))
    .map(({ pattern, form }) => ({ name: exampleName(pattern), form }))
    .filter(({ name, form }) =>
      contexts.every((specs) =>
        imageContexts.every((properties) => {
          const without = outcome(specs, properties)
          return examples(form)
            .filter((value) => mistakeOf(form, value) === null)
            .every((value) => outcome({ ...specs, [name]: value }, properties) === without)
        }),
      ),
    )
  assert.deepEqual(
    idle.map(({ name }) => name),
    [],
  )
})

test("no extra spec that is told to be of no use does anything", () => {
  const used = extraSpecs
    .filter(({ form }) => form.unused !== undefined)
    .filter(({ pattern, form }) =>
      examples(form).some((value) => outcome({ [pattern]: value }, {}) !== outcome({}, {})),
    )
  assert.deepEqual(
    used.map(({ pattern }) => pattern),
    [],
  )
})

test("image properties are declared once", () => {
  const names = imageProperties.map(({ pattern }) => pattern)
  assert.deepEqual(names, [...new Set(names)])
})
