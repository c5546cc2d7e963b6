// What `nova-manage service list` showed: the compute service of each host, and what works for all hosts.
import { Type } from "typebox"
import type { Platform } from "../../platform/context/context.ts"
import { transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { hostIsUp, serviceNotFound } from "../faults.ts"
import {
  type ControlBinary,
  deleteControlService,
  internalZone,
  selectControlServices,
} from "./control-service.ts"
import { type HostFacts, selectAllHostFacts } from "./verbs.ts"

export interface ServiceFacts {
  /** Since 2.53; before, clients ask by `number`. */
  id: string
  number: number
  binary: ControlBinary | "nova-compute"
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
    binary: "nova-compute",
    host: host.name,
    zone,
    isUp,
    lastSeenAt: host.lastSeenAt,
    isDisabled: host.isDisabled,
    disabledReason: host.disabledReason,
    isForcedDown: host.isForcedDown,
  }
}

async function selectServices(platform: Platform): Promise<ServiceFacts[]> {
  const [control, hosts] = await Promise.all([selectControlServices(platform), selectAllHostFacts(platform)])
  const never = { zone: internalZone, isDisabled: false, disabledReason: null, isForcedDown: false }
  return [...control.map((service) => ({ ...service, ...never })), ...hosts.map(serviceOfHost)]
}

/** All services; each call that shows them has its own rule. */
function listing(verb: string, rule: string) {
  return operation({
    name: `compute.service.${verb}`,
    input: Type.Object({}),
    rule: `os_compute_api:${rule}`,
    target: (ctx) => ({ project_id: ctx.caller.projectId }),
    run: (ctx): Promise<ServiceFacts[]> => selectServices(ctx),
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
  load: async (ctx, { id }) => {
    const found = (await selectControlServices(ctx)).find((service) => service.id === id)
    if (!found) throw serviceNotFound(id)
    return found
  },
  rule: "os_compute_api:os-services:delete",
  target: (ctx) => ({ project_id: ctx.caller.projectId }),
  run: async (ctx, _input, service) => {
    if (service.isUp) throw hostIsUp(service.host)
    await transact(ctx.db, (tx) => deleteControlService(tx, service.id))
  },
})
