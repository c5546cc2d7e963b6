import { aggregateValues, type HostState } from "../host-state.ts"
import type { Filter } from "./filter.ts"

/** Where an aggregate names a property, images that have it must have one of its values there. */
export const aggregateImagePropertiesIsolation: Filter = {
  name: "AggregateImagePropertiesIsolation",
  isAsked: ({ image }) => image !== null && Object.keys(image.properties).length > 0,
  refuse: (host, { image }, options) => {
    const namespace = options.aggregateImagePropertiesIsolationNamespace
    const prefix = namespace === "" ? "" : `${namespace}${options.aggregateImagePropertiesIsolationSeparator}`
    for (const key of keysOf(host)) {
      const has = key.startsWith(prefix) ? image?.properties[key] : undefined
      if (has === undefined) continue
      const values = aggregateValues(host, key)
      if (values.has(has)) continue
      return {
        why: `the image has ${key}=${has}; the host's aggregates want ${[...values].join(", ")}`,
        fix: `add ${has} to ${key} of the host's aggregate, or change the image's property`,
        forUser: `it does not take images with ${key}=${has}`,
      }
    }
    return null
  },
}

function keysOf({ aggregates }: HostState): Set<string> {
  return new Set(aggregates.flatMap(({ metadata }) => Object.keys(metadata)))
}
