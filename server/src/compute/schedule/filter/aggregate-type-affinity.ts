import { aggregateValues } from "../host-state.ts"
import type { Filter } from "./filter.ts"

/** Hosts of aggregates with `instance_type` are for flavors of these names only. */
export const aggregateTypeAffinityFilter: Filter = {
  name: "AggregateTypeAffinityFilter",
  refuse: (host, { flavor }) => {
    const types = aggregateValues(host, "instance_type")
    if (types.size === 0 || types.has(flavor.name)) return null
    return {
      why: `its aggregates are for the flavors ${[...types].join(", ")} only`,
      fix: `add ${flavor.name} to instance_type of the host's aggregate`,
      forUser: `it is not for the flavor ${flavor.name}`,
    }
  },
}
