import { aggregateValues, type HostState } from "../host-state.ts"
import type { Filter } from "./filter.ts"

/** Hosts of aggregates with `filter_tenant_id` (or keys that begin so) are for these projects only. */
export const aggregateMultiTenancyIsolation: Filter = {
  name: "AggregateMultiTenancyIsolation",
  refuse: (host, { projectId }) => {
    const tenants = tenantsOf(host)
    if (tenants.size === 0 || tenants.has(projectId)) return null
    return {
      why: `its aggregates are for the projects ${[...tenants].join(", ")} only`,
      fix: `add ${projectId} to filter_tenant_id of the host's aggregate`,
    }
  },
}

function tenantsOf(host: HostState): Set<string> {
  const keys = new Set(host.aggregates.flatMap(({ metadata }) => Object.keys(metadata)))
  const ours = [...keys].filter((key) => key.startsWith("filter_tenant_id"))
  return new Set(ours.flatMap((key) => [...aggregateValues(host, key)]))
}
