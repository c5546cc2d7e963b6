import type { Filter } from "./filter.ts"

/** Passes every host. */
export const allHostsFilter: Filter = { name: "AllHostsFilter", isAsked: () => false, refuse: () => null }
