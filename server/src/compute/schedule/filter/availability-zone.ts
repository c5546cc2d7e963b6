import type { Filter } from "./filter.ts"

export const availabilityZoneFilter: Filter = {
  name: "AvailabilityZoneFilter",
  isAsked: ({ zone }) => zone !== null,
  narrow: ({ zone }) => (zone === null ? {} : { zone }),
  refuse: (host, { zone }) =>
    zone === null || host.zone === zone
      ? null
      : {
          why: `it is not in zone ${zone} but in ${host.zone}`,
          fix: `ask for zone ${host.zone}, or for none`,
          forUser: `it is not in zone ${zone}`,
        },
}
