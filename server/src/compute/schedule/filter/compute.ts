import type { Filter, Refusal } from "./filter.ts"

export const hostDown: Refusal = { why: "it is down", fix: "start it: ./kumoi up on that machine" }

/** A host that answers and is not disabled. */
export const computeFilter: Filter = {
  name: "ComputeFilter",
  narrow: () => ({ isServing: true }),
  refuse: (host) => {
    if (host.isDisabled) return { why: "it is disabled", fix: `enable it: ./kumoi host enable ${host.name}` }
    return host.isUp ? null : hostDown
  },
}
