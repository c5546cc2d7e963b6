// Hosts as they were shown before hypervisors and services were; gone since 2.43.

import { type Static, Type } from "typebox"
import { all, count, shape, text } from "../../api/openstack/shape.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { queryText } from "../../platform/http/query.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { closed } from "../../platform/schema/make.ts"
import { hostCommands, hostNotFound, listHosts, listServicesAsHosts, updateOldHost } from "../index.ts"
import { toldQuery } from "./query-names.ts"

const max = "2.42"

const row = shape("HostResource", { host: text, project: text, cpu: count, memory_mb: count, disk_gb: count })
const host = all("host", shape("HostRow", { resource: row }))
const listed = shape("Host", { host_name: text, service: text, zone: text })
const changed = shape("ChangedHost", { host: text, status: text })

async function showHost(ctx: Ctx, req: WireRequest) {
  const name = req.params.host_name ?? ""
  const [found] = await listHosts(ctx, { filters: { name: [name] } })
  if (!found) throw hostNotFound(name)
  const { host, load } = found
  const row = (project: string, cpu: number, memoryMb: number, diskGb: number) => ({
    resource: { host: name, project, cpu, memory_mb: memoryMb, disk_gb: diskGb },
  })
  const d = host.description
  return {
    host: [
      row("(total)", d.vcpus, d.ramMib, d.diskGib),
      row("(used_now)", load.vcpus, load.ramMib, load.diskGib),
      row("(used_max)", load.vcpus, load.ramMib, load.diskGib),
    ],
  }
}

const onOff = Type.Unsafe<string>({ enum: ["enable", "disable", "Enable", "Disable", "ENABLE", "DISABLE"] })
const updateBody = closed({ status: onOff, maintenance_mode: onOff }, [], {
  anyOf: [{ required: ["status"] }, { required: ["maintenance_mode"] }],
})

/** Enabled is what the compute service on it is. */
async function updateHost(ctx: Ctx, req: WireRequest<Static<typeof updateBody>>) {
  const host = req.params.host_name ?? ""
  if (req.body.maintenance_mode !== undefined) await hostCommands.maintain(ctx, { host })
  const status = req.body.status?.toLowerCase()
  const changes = { isDisabled: status === "disable", disabledReason: null }
  await updateOldHost(ctx, { host, changes })
  return { host, status: `${status}d` }
}

const powerRoutes = (
  [
    ["startup", "start"],
    ["shutdown", "shutdown"],
    ["reboot", "reboot"],
  ] as const
).map(([word, verb]) =>
  route({
    method: "GET",
    path: `/os-hosts/{host_name}/${word}`,
    max,
    operation: hostCommands[verb],
    handler: (ctx, req) => hostCommands[verb](ctx, { host: req.params.host_name ?? "" }),
  }),
)

export const hostRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/os-hosts",
    max,
    operation: listServicesAsHosts,
    told: { ...toldQuery(["zone"]), ...all("hosts", listed) },
    handler: async (ctx, req) => {
      const zone = queryText(req.query, "zone")
      const all = await listServicesAsHosts(ctx, {})
      const found = all.filter((service) => !zone || service.zone === zone)
      return {
        hosts: found.map(({ host, binary, zone }) => ({
          host_name: host,
          service: binary.replace("nova-", ""),
          zone,
        })),
      }
    },
  }),
  route({
    method: "GET",
    path: "/os-hosts/{host_name}",
    max,
    operation: listHosts,
    told: host,
    handler: showHost,
  }),
  route({
    method: "PUT",
    path: "/os-hosts/{host_name}",
    max,
    operation: [updateOldHost, hostCommands.maintain],
    body: updateBody,
    told: { answer: changed },
    handler: updateHost,
  }),
  ...powerRoutes,
]
