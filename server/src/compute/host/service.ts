// What `nova-manage service list` showed: the compute service of each host, and what works for all hosts.
import { Type } from "typebox"
import type { Platform } from "../../platform/context/context.ts"
import { type Filters, givenFilters, ListQuery, listThings, loadThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { hostIsUp, serviceNotFound } from "../faults.ts"
import { type ControlBinary, controlServiceNoun, internalZone } from "./control-service.ts"
import { type HostFacts, selectHostFacts } from "./read.ts"

const hostBinary = "nova-compute"

export interface ServiceFacts {
  /** Since 2.53; before, clients ask by `number`. */
  id: string
  number: number
  binary: ControlBinary | typeof hostBinary
  host: string
  zone: string
  isUp: boolean
  lastSeenAt: Date
  isDisabled: boolean
  disabledReason: string | null
  isForcedDown: boolean
}

export function serviceOfHost({ host, zone, isUp }: HostFacts): ServiceFacts {
  return {
    id: host.serviceId,
    number: host.number,
    binary: hostBinary,
    host: host.name,
    zone,
    isUp,
    lastSeenAt: host.lastSeenAt,
    isDisabled: host.isDisabled,
    disabledReason: host.disabledReason,
    isForcedDown: host.isForcedDown,
  }
}

const looking = ({ config }: Platform) => ({ downAfterMs: config.compute.serviceDownAfterMs })

async function selectServices(platform: Platform, filters: Filters): Promise<ServiceFacts[]> {
  const { id, number, host, binary } = filters
  const ofHosts = givenFilters({ serviceId: id, number, name: host })
  const isOfHosts = !binary || binary.some((asked) => asked === hostBinary)
  const [control, hosts] = await Promise.all([
    listThings(platform.db, controlServiceNoun, looking(platform), { filters }),
    isOfHosts ? selectHostFacts(platform, { filters: ofHosts }) : [],
  ])
  const never = { zone: internalZone, isDisabled: false, disabledReason: null, isForcedDown: false }
  return [...control.map((service) => ({ ...service, ...never })), ...hosts.map(serviceOfHost)]
}

/** Services by id, number, host or binary; each call that shows them has its own rule. */
function listing(verb: string, rule: string) {
  return operation({
    name: `compute.service.${verb}`,
    input: ListQuery,
    rule: `os_compute_api:${rule}`,
    target: (ctx) => ({ project_id: ctx.caller.projectId }),
    run: (ctx, { filters = {} }): Promise<ServiceFacts[]> => selectServices(ctx, filters),
  })
}

export const listServices = listing("list", "os-services:list")
export const listServicesAsHosts = listing("list_as_hosts", "os-hosts:list")
export const listServicesOfZones = listing("list_of_zones", "os-availability-zone:detail")

/** For a process that is gone for good. A host's compute service goes with its host. */
export const deleteService = operation({
  name: "compute.service.delete",
  input: Type.Object({ id: Type.String() }),
  faults: [serviceNotFound, hostIsUp],
  load: (ctx, { id }) => loadThing(ctx.db, controlServiceNoun, looking(ctx), id),
  rule: "os_compute_api:os-services:delete",
  target: (ctx) => ({ project_id: ctx.caller.projectId }),
  run: async (ctx, _input, service) => {
    if (service.isUp) throw hostIsUp(service.host)
    await ctx.db.deleteFrom("compute.control_service").where("id", "=", service.id).execute()
  },
})
