// Each filter by a table: a host, a request, and whether it may have the server.
import assert from "node:assert/strict"
import { test } from "node:test"
import { aggregate, hostState, room, scheduleOptions, scheduleRequest } from "../../testing/schedule-case.ts"
import type { ScheduleOptions } from "../config.ts"
import type { HostState } from "../host-state.ts"
import type { ScheduleRequest } from "../request.ts"
import { allFilters } from "./all.ts"
import { matchesSpec } from "./spec-operator.ts"

type Row = [
  isTaken: boolean,
  host: Partial<HostState>,
  request: Partial<ScheduleRequest>,
  options?: Partial<ScheduleOptions>,
]

const image = (properties: Record<string, string>, id = "i1") => ({ image: { id, properties } })
const specs = (extraSpecs: Record<string, string>) => ({ flavor: { name: "small", extraSpecs } })
const of = (metadata: Record<string, string>) => ({ aggregates: [aggregate(metadata)] })
const query = (...parts: unknown[]) => ({ hints: { query: JSON.stringify(parts) } })
const group = (policy: "affinity" | "anti-affinity", members: [string, number][], maxPerHost = 1) => ({
  group: { policy, members: new Map(members), maxPerHost },
})
const own = hostState("h").description
type Description = NonNullable<typeof own>
/** The host of the rows, with something changed. */
function described(change: Partial<Description>): Description {
  if (own === null) throw new Error("unreachable: it says what it is")
  return { ...own, abilities: { ...own.abilities, liveMigration: true }, ...change }
}
const withAbilities = (change: Partial<Description["abilities"]>) =>
  described({ abilities: { ...described({}).abilities, ...change } })
const processor = (change: Partial<Description["cpuInfo"]>) =>
  described({ cpuInfo: { ...described({}).cpuInfo, ...change } })
const two = [aggregate({ max_io_ops_per_host: "9", max_instances_per_host: "60" }), aggregate({}, 2)]

const tables: Record<string, Row[]> = {
  AllHostsFilter: [[true, { isUp: false, isDisabled: true }, {}]],
  ComputeFilter: [
    [true, {}, {}],
    [false, { isUp: false }, {}],
    [false, { isDisabled: true }, {}],
  ],
  AvailabilityZoneFilter: [
    [true, { zone: "az2" }, {}],
    [true, { zone: "az2" }, { zone: "az2" }],
    [false, {}, { zone: "az2" }],
  ],
  ImagePropertiesFilter: [
    [true, {}, {}],
    [true, {}, image({ hw_architecture: "x86_64", img_hv_type: "kvm", hw_vm_mode: "hvm" })],
    [true, {}, image({ architecture: "amd64" })],
    [true, {}, image({ hw_architecture: "i686" })],
    [false, {}, image({ hw_architecture: "aarch64" })],
    [false, {}, image({ img_hv_type: "xen" })],
    [false, {}, image({ hw_vm_mode: "xen" })],
    [false, {}, image({}), { imagePropertiesDefaultArchitecture: "s390x" }],
  ],
  SameHostFilter: [
    [true, {}, {}],
    [true, {}, { sameHosts: ["h"] }],
    [false, {}, { sameHosts: ["other"] }],
    [false, {}, { sameHosts: [] }],
  ],
  DifferentHostFilter: [
    [true, {}, { differentHosts: ["other"] }],
    [false, {}, { differentHosts: ["other", "h"] }],
  ],
  ServerGroupAffinityFilter: [
    [true, {}, group("affinity", [])],
    [true, {}, group("affinity", [["h", 1]])],
    [false, {}, group("affinity", [["other", 1]])],
    [true, {}, group("anti-affinity", [["other", 1]])],
  ],
  ServerGroupAntiAffinityFilter: [
    [true, {}, group("anti-affinity", [["other", 1]])],
    [false, {}, group("anti-affinity", [["h", 1]])],
    [true, {}, group("anti-affinity", [["h", 1]], 2)],
    [false, {}, group("anti-affinity", [["h", 2]], 2)],
    [true, {}, group("affinity", [["h", 1]])],
  ],
  SimpleCIDRAffinityFilter: [
    [true, {}, {}],
    [true, {}, { hints: { build_near_host_ip: "192.0.2.200" } }],
    [false, {}, { hints: { build_near_host_ip: "192.0.2.200", cidr: "/28" } }],
    [false, {}, { hints: { build_near_host_ip: "198.51.100.1" } }],
    [false, {}, { hints: { build_near_host_ip: "nonsense" } }],
  ],
  JsonFilter: [
    [true, {}, {}],
    [true, {}, query(">=", "$free_ram_mb", 1000)],
    [false, {}, query(">", "$free_ram_mb", 1000)],
    [true, {}, query("and", [">=", "$free_ram_mb", 1], ["=", "$cpu_info.arch", "x86_64"])],
    [false, {}, query("and", [">=", "$free_ram_mb", 1], ["=", "$cpu_info.arch", "arm"])],
    [true, {}, query("or", ["=", "$host", "x"], ["in", "$host", "h", "i"])],
    [false, {}, query("not", ["=", "$host", "h"])],
    [false, {}, query("=", "$nothing", 1)],
    [false, {}, query("system", "rm")],
    [false, {}, { hints: { query: "[" } }],
    [false, {}, query("=", "$constructor.name", "Object")],
  ],
  LiveMigrationFilter: [
    [true, { description: null }, {}],
    [true, { description: described({}) }, { runsOn: described({}) }],
    [false, { description: null }, { runsOn: described({}) }],
    [false, { description: withAbilities({ liveMigration: false }) }, { runsOn: described({}) }],
    [false, { description: described({}) }, { runsOn: withAbilities({ liveMigration: false }) }],
    [false, { description: withAbilities({ accelerator: "tcg" }) }, { runsOn: described({}) }],
    [false, { description: described({ hypervisorType: "fake" }) }, { runsOn: described({}) }],
    [false, { description: described({ hypervisorVersion: 1 }) }, { runsOn: described({}) }],
    [true, { description: described({ hypervisorVersion: 9_000_000 }) }, { runsOn: described({}) }],
    [false, { description: processor({ vendor: "AuthenticAMD" }) }, { runsOn: described({}) }],
    [false, { description: processor({ features: ["sse"] }) }, { runsOn: described({}) }],
    [true, { description: processor({ features: ["avx", "sse", "more"] }) }, { runsOn: described({}) }],
    [
      true,
      {
        description: described({ ...processor({ features: [] }), ...withAbilities({ accelerator: "tcg" }) }),
      },
      { runsOn: withAbilities({ accelerator: "tcg" }) },
    ],
  ],
  ComputeCapabilitiesFilter: [
    [true, {}, specs({ "hw:cpu_policy": "dedicated" })],
    [true, {}, specs({ "capabilities:cpu_info:arch": "x86_64" })],
    [true, {}, specs({ "capabilities:cpu_info:features": "<in> avx" })],
    [true, {}, specs({ vcpus_total: ">= 16" })],
    [false, {}, specs({ vcpus_total: ">= 17" })],
    [false, {}, specs({ "capabilities:cpu_info:features": "<in> avx512" })],
    [false, {}, specs({ nothing: "1" })],
  ],
  AggregateInstanceExtraSpecsFilter: [
    [true, {}, {}],
    [true, of({ ssd: "true" }), specs({ "aggregate_instance_extra_specs:ssd": "true" })],
    [true, of({ ssd: "no, true" }), specs({ ssd: "true" })],
    [false, of({ ssd: "false" }), specs({ ssd: "true" })],
    [false, {}, specs({ "aggregate_instance_extra_specs:ssd": "true" })],
    [true, {}, specs({ "hw:mem_page_size": "large" })],
    [true, of({ gen: "7" }), specs({ gen: ">= 6" })],
  ],
  AggregateImagePropertiesIsolation: [
    [true, of({ os_distro: "windows" }), {}],
    [true, of({ os_distro: "windows" }), image({ other: "1" })],
    [true, of({ os_distro: "windows,debian" }), image({ os_distro: "debian" })],
    [false, of({ os_distro: "windows" }), image({ os_distro: "debian" })],
    [
      true,
      of({ os_distro: "windows" }),
      image({ os_distro: "debian" }),
      { aggregateImagePropertiesIsolationNamespace: "os" },
    ],
    [
      false,
      of({ "os.type": "w" }),
      image({ "os.type": "d" }),
      { aggregateImagePropertiesIsolationNamespace: "os" },
    ],
  ],
  AggregateMultiTenancyIsolation: [
    [true, {}, {}],
    [true, of({ filter_tenant_id: "p0,p1" }), {}],
    [true, of({ filter_tenant_id: "p0", filter_tenant_id_2: "p1" }), {}],
    [false, of({ filter_tenant_id: "p2" }), {}],
  ],
  AggregateTypeAffinityFilter: [
    [true, {}, {}],
    [true, of({ instance_type: "large, small" }), {}],
    [false, of({ instance_type: "large" }), {}],
  ],
  IoOpsFilter: [
    [true, { ioOps: 7 }, {}],
    [false, { ioOps: 8 }, {}],
    [true, { ioOps: 8 }, {}, { maxIoOpsPerHost: 9 }],
    [false, { ioOps: 8, aggregates: two }, {}],
  ],
  AggregateIoOpsFilter: [
    [true, { ioOps: 8, aggregates: two }, {}],
    [false, { ioOps: 9, aggregates: two }, {}],
    [false, { ioOps: 8 }, {}],
  ],
  NumInstancesFilter: [
    [true, { instances: 49 }, {}],
    [false, { instances: 50 }, {}],
  ],
  AggregateNumInstancesFilter: [
    [true, { instances: 59, aggregates: two }, {}],
    [false, { instances: 60, aggregates: two }, {}],
    [false, { instances: 50, aggregates: [aggregate({ max_instances_per_host: "nonsense" })] }, {}],
  ],
  IsolatedHostsFilter: [
    [true, {}, image({}), { isolatedImages: ["i1"], isolatedHosts: ["h"] }],
    [false, {}, image({}), { isolatedImages: ["i1"], isolatedHosts: ["other"] }],
    [false, {}, image({}, "i2"), { isolatedImages: ["i1"], isolatedHosts: ["h"] }],
    [true, {}, image({}, "i2"), { isolatedImages: ["i1"], isolatedHosts: ["other"] }],
    [false, {}, {}, { isolatedHosts: ["h"] }],
    [true, {}, image({}, "i2"), { isolatedHosts: ["h"], restrictIsolatedHostsToIsolatedImages: false }],
  ],
  CoreFilter: roomRows("VCPU"),
  RamFilter: roomRows("MEMORY_MB"),
  DiskFilter: roomRows("DISK_GB"),
  AggregateCoreFilter: roomRows("VCPU"),
  AggregateRamFilter: roomRows("MEMORY_MB"),
  AggregateDiskFilter: roomRows("DISK_GB"),
}

function roomRows(name: string): Row[] {
  const has = (capacity: number, used: number) => ({ rooms: { [name]: room(capacity, used) } })
  return [
    [true, has(10, 5), { resources: { [name]: 5 } }],
    [false, has(10, 6), { resources: { [name]: 5 } }],
    [false, has(4, 0), { resources: { [name]: 5 } }],
    [false, { rooms: {} }, { resources: { [name]: 5 } }],
    [true, { rooms: {} }, { resources: { [name]: 0 } }],
  ]
}

for (const filter of allFilters) {
  test(filter.name, () => {
    for (const [isTaken, host, request, over] of tables[filter.name] ?? assert.fail("it has no table")) {
      const asked = scheduleRequest(request)
      const options = scheduleOptions(over)
      const isAsked = filter.isAsked?.(asked, options) ?? true
      const refusal = isAsked ? filter.refuse(hostState("h", host), asked, options) : null
      assert.equal(refusal === null, isTaken, JSON.stringify([host, request, over, refusal]))
      assert.ok(!refusal?.forUser?.includes("192.0.2.7"), "users read nothing of hosts")
    }
  })
}

test("operators of extra specs", () => {
  const rows: [string, string, boolean][] = [
    ["1", "1", true],
    ["1", "2", false],
    ["5", "= 4", true],
    ["5", "== 5.0", true],
    ["5", "!= 5", false],
    ["abc", "s== abc", true],
    ["abc", "s< abd", true],
    ["sse avx", "<in> avx", true],
    ["sse avx", "<all-in> avx sse", true],
    ["sse", "<all-in> avx sse", false],
    ["b", "<or> a <or> b", true],
    ["c", "<or> a <or> b", false],
    ["5", "<range-in> [ 1 5 ]", true],
    ["5", "<range-in> [ 1 5 )", false],
    ["two words", "two words", true],
    ["1", "toString 1", false],
  ]
  for (const [has, spec, is] of rows) assert.equal(matchesSpec(has, spec), is, `${has} | ${spec}`)
})
