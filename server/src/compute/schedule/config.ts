// What operators say of the scheduler: `compute.schedule` of the configuration, with Nova's defaults where Nova has one.
import { Type } from "typebox"

const multiplier = (value: number, description: string) =>
  Type.Number({
    default: value,
    description: `${description} An aggregate's metadata of Nova's name come before it; of several the smallest counts.`,
  })

export const defaultFilters = [
  "AvailabilityZoneFilter",
  "ComputeFilter",
  "ComputeCapabilitiesFilter",
  "LiveMigrationFilter",
  "ImagePropertiesFilter",
  "SameHostFilter",
  "DifferentHostFilter",
  "ServerGroupAntiAffinityFilter",
  "ServerGroupAffinityFilter",
]

export const scheduleConfig = Type.Object({
  scheduler: Type.String({
    default: "filter",
    description:
      "Who chooses hosts: `filter` (filters, then weighers), `chance` (any host that is up) or `simple` (a host that " +
      "is up and in the zone, the one with the most free virtual CPUs). The last two ask no other filter.",
  }),
  enabledFilters: Type.Array(Type.String(), {
    default: defaultFilters,
    description:
      "Filters that are asked, in this order. AllHostsFilter passes all. CoreFilter, RamFilter, DiskFilter and " +
      "their Aggregate forms may be named; placement decides what they decide, whether they are or not.",
  }),
  customFilters: Type.Array(Type.String(), {
    default: [],
    description:
      "Modules with filters of one's own, as absolute paths (docs/how-to/add-a-scheduler-filter.md). They can then be " +
      "named in enabledFilters. A module that cannot be loaded keeps the cloud from starting.",
  }),
  candidatePage: Type.Integer({
    default: 50,
    minimum: 1,
    maximum: 10_000,
    description:
      "Hosts with room that are looked at together: those with the most free memory (the least, when that multiplier " +
      "is below 0). Only when none of them passes the filters the next ones are looked at.",
  }),
  hostSubsetSize: Type.Integer({
    default: 1,
    minimum: 1,
    description: "Of so many of the best hosts any is taken, at random.",
  }),
  likeness: Type.Number({
    default: 0.05,
    minimum: 0,
    description:
      "Hosts whose weights differ by less are as good as each other: any of them is taken, at random.",
  }),
  ramWeightMultiplier: multiplier(1, "RAMWeigher: how much free memory counts; below 0 fills hosts up."),
  cpuWeightMultiplier: multiplier(1, "CPUWeigher: how much free virtual CPUs count."),
  diskWeightMultiplier: multiplier(1, "DiskWeigher: how much free disk counts."),
  ioOpsWeightMultiplier: multiplier(-1, "IoOpsWeigher: how much servers count that are being worked on."),
  numInstancesWeightMultiplier: multiplier(0, "NumInstancesWeigher: how much the number of servers counts."),
  softAffinityWeightMultiplier: multiplier(
    10,
    "ServerGroupSoftAffinityWeigher: how much members of the group on the host count (Nova: 1).",
  ),
  softAntiAffinityWeightMultiplier: multiplier(
    10,
    "ServerGroupSoftAntiAffinityWeigher: the same, to keep away from them (Nova: 1).",
  ),
  buildFailureWeightMultiplier: multiplier(
    1_000_000,
    "BuildFailureWeigher: how much builds count that failed on the host since the last one that did not.",
  ),
  maxIoOpsPerHost: Type.Integer({
    default: 8,
    minimum: 1,
    description:
      "IoOpsFilter: a host with so many servers being worked on gets no more. AggregateIoOpsFilter: the same where " +
      "no aggregate has `max_io_ops_per_host`.",
  }),
  maxInstancesPerHost: Type.Integer({
    default: 50,
    minimum: 1,
    description:
      "NumInstancesFilter: a host with so many servers gets no more. AggregateNumInstancesFilter: the same where no " +
      "aggregate has `max_instances_per_host`.",
  }),
  isolatedImages: Type.Array(Type.String(), {
    default: [],
    description: "IsolatedHostsFilter: ids of images that run on isolated hosts only.",
  }),
  isolatedHosts: Type.Array(Type.String(), {
    default: [],
    description: "IsolatedHostsFilter: names of the hosts for them.",
  }),
  restrictIsolatedHostsToIsolatedImages: Type.Boolean({
    default: true,
    description: "IsolatedHostsFilter: whether other images keep away from isolated hosts.",
  }),
  aggregateImagePropertiesIsolationNamespace: Type.String({
    default: "",
    description:
      "AggregateImagePropertiesIsolation: only metadata that begin so (and with the separator) count; empty: all.",
  }),
  aggregateImagePropertiesIsolationSeparator: Type.String({
    default: ".",
    description: "AggregateImagePropertiesIsolation: what stands between the namespace and the rest.",
  }),
  imagePropertiesDefaultArchitecture: Type.String({
    default: "",
    description: "ImagePropertiesFilter: architecture of images that name none; empty: any host takes them.",
  }),
})

export type ScheduleOptions = Type.Static<typeof scheduleConfig>
