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

const rules = {
  services: "os_compute_api:os-services:list",
  hosts: "os_compute_api:os-hosts:list",
  zones: "os_compute_api:os-availability-zone:detail",
} as const

/** All services, for the purpose that names the rule. */
export const listServices = operation({
  name: "compute.service.list",
  input: Type.Object({ purpose: Type.Enum(Object.keys(rules) as (keyof typeof rules)[]) }),
  authorize: (ctx, { purpose }) => [[rules[purpose], { project_id: ctx.caller.projectId }]],
  run: (ctx): Promise<ServiceFacts[]> => selectServices(ctx),
})

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
  authorize: (ctx) => [["os_compute_api:os-services:delete", { project_id: ctx.caller.projectId }]],
  run: async (ctx, _input, service) => {
    if (service.isUp) throw hostIsUp(service.host)
    await transact(ctx.db, (tx) => deleteControlService(tx, service.id))
  },
})
