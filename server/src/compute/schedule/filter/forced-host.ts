import type { ScheduleRequest } from "../request.ts"
import { hostDown } from "./compute.ts"
import type { Filter } from "./filter.ts"

/**
 * Always asked: an administrator's own choice of a host. One that is forced counts more than the rest of the request,
 * but makes nothing on a host that is down; one that is requested must pass the other filters as well.
 */
export const forcedHostFilter: Filter = {
  name: "RequestedHost",
  isAsked: (request) => wantedBy(request) !== null,
  narrow: (request) => {
    const wanted = wantedBy(request)
    return wanted === null ? {} : { hosts: [wanted] }
  },
  refuse: (host, request) => {
    if (host.name !== wantedBy(request))
      return { why: "it is not the host asked for", fix: "ask for this host, or for none" }
    return host.isUp ? null : { ...hostDown, forUser: "the host asked for is down" }
  },
}

const wantedBy = ({ forcedHost, requestedHost }: ScheduleRequest) => forcedHost ?? requestedHost
