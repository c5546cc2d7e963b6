import { aggregateValues } from "../host-state.ts"
import type { ScheduleRequest } from "../request.ts"
import type { Filter } from "./filter.ts"
import { matchesSpec } from "./spec-operator.ts"

const scope = "aggregate_instance_extra_specs"

/** Extra specs of the flavor with this scope or none must be metadata of the host's aggregates. */
export const aggregateInstanceExtraSpecsFilter: Filter = {
  name: "AggregateInstanceExtraSpecsFilter",
  isAsked: (request) => specsOf(request).length > 0,
  refuse: (host, request) => {
    for (const [key, spec] of specsOf(request)) {
      const values = [...aggregateValues(host, key)]
      if (values.some((value) => matchesSpec(value, spec))) continue
      const has = values.length === 0 ? "have no such key" : `say ${values.join(", ")}`
      return {
        why: `the flavor asks for an aggregate with ${key} ${spec}; those of the host ${has}`,
        fix: `add the host to an aggregate with ${key}=${spec}`,
        forUser: `it is not in an aggregate with the flavor's ${key}`,
      }
    }
    return null
  },
}

function specsOf({ flavor }: ScheduleRequest): [key: string, spec: string][] {
  return Object.entries(flavor.extraSpecs).flatMap(([key, spec]): [string, string][] => {
    if (!key.includes(":")) return [[key, spec]]
    return key.startsWith(`${scope}:`) ? [[key.slice(scope.length + 1), spec]] : []
  })
}
