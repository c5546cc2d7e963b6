// Every filter that comes with the program.
import { aggregateImagePropertiesIsolation } from "./aggregate-image-properties-isolation.ts"
import { aggregateInstanceExtraSpecsFilter } from "./aggregate-instance-extra-specs.ts"
import { aggregateMultiTenancyIsolation } from "./aggregate-multi-tenancy-isolation.ts"
import { aggregateTypeAffinityFilter } from "./aggregate-type-affinity.ts"
import { allHostsFilter } from "./all-hosts.ts"
import { availabilityZoneFilter } from "./availability-zone.ts"
import { computeFilter } from "./compute.ts"
import { computeCapabilitiesFilter } from "./compute-capabilities.ts"
import {
  aggregateCoreFilter,
  aggregateDiskFilter,
  aggregateRamFilter,
  coreFilter,
  diskFilter,
  ramFilter,
} from "./core-ram-disk.ts"
import { differentHostFilter } from "./different-host.ts"
import type { Filter } from "./filter.ts"
import { imagePropertiesFilter } from "./image-properties.ts"
import { aggregateIoOpsFilter, ioOpsFilter } from "./io-ops.ts"
import { isolatedHostsFilter } from "./isolated-hosts.ts"
import { jsonFilter } from "./json.ts"
import { liveMigrationFilter } from "./live-migration.ts"
import { aggregateNumInstancesFilter, numInstancesFilter } from "./num-instances.ts"
import { sameHostFilter } from "./same-host.ts"
import { serverGroupAffinityFilter } from "./server-group-affinity.ts"
import { serverGroupAntiAffinityFilter } from "./server-group-anti-affinity.ts"
import { simpleCidrAffinityFilter } from "./simple-cidr-affinity.ts"

export const allFilters: readonly Filter[] = [
  aggregateCoreFilter,
  aggregateDiskFilter,
  aggregateImagePropertiesIsolation,
  aggregateInstanceExtraSpecsFilter,
  aggregateIoOpsFilter,
  aggregateMultiTenancyIsolation,
  aggregateNumInstancesFilter,
  aggregateRamFilter,
  aggregateTypeAffinityFilter,
  allHostsFilter,
  availabilityZoneFilter,
  computeCapabilitiesFilter,
  computeFilter,
  coreFilter,
  differentHostFilter,
  diskFilter,
  imagePropertiesFilter,
  ioOpsFilter,
  isolatedHostsFilter,
  jsonFilter,
  liveMigrationFilter,
  numInstancesFilter,
  ramFilter,
  sameHostFilter,
  serverGroupAffinityFilter,
  serverGroupAntiAffinityFilter,
  simpleCidrAffinityFilter,
]
