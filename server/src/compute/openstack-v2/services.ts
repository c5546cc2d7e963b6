// Compute services: what works on hosts and for them.
import { type Static, Type } from "typebox"
import * as is from "../../api/openstack/shape.ts"
import { view } from "../../api/openstack/view.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { atLeast, type Microversion } from "../../platform/http/microversion.ts"
import { queryText } from "../../platform/http/query.ts"
import { versions } from "../../platform/http/versions.ts"
import { type Route, reply, route, type WireRequest } from "../../platform/http/wire.ts"
import { givenFilters } from "../../platform/noun/list.ts"
import { closed, word } from "../../platform/schema/make.ts"
import {
  badRequest,
  deleteComputeHost,
  deleteService,
  listServices,
  type ServiceFacts,
  serviceNotFound,
  updateComputeHost,
} from "../index.ts"
import { toldQuery } from "./query-names.ts"
import { boolean, fqdn, readBoolean } from "./schema-parts.ts"

const { all, count, flag, from, one, rare, shape, text, textOrNull } = is

const computeBinary = "nova-compute"

/** Services and hypervisors are named by their numbers before 2.53. */
export const idKeyAt = (version: Microversion) => (atLeast(version, "2.53") ? "id" : "number")

const shownService = view<ServiceFacts>("Service", {
  id: [versions({ "2.1": count, "2.53": text }), (service, _ctx, { version }) => service[idKeyAt(version)]],
  ...{ binary: [text, "binary"], host: [text, "host"], zone: [text, "zone"] },
  status: [text, ({ isDisabled }) => (isDisabled ? "disabled" : "enabled")],
  state: [text, ({ isUp }) => (isUp ? "up" : "down")],
  updated_at: [text, "lastSeenAt"],
  disabled_reason: [textOrNull, "disabledReason"],
  forced_down: [from("2.11", flag), "isForcedDown"],
})
const changes = { status: rare(text), disabled_reason: rare(text), forced_down: rare(flag) }
const changed = one("service", shape("ChangedService", { host: text, binary: text, ...changes }))

async function services(ctx: Ctx, req: WireRequest) {
  const asked = (name: string) => {
    const value = queryText(req.query, name)
    return value === undefined ? undefined : [value]
  }
  const filters = givenFilters({ host: asked("host"), binary: asked("binary") })
  const found = await listServices(ctx, { filters })
  return { services: found.map((service) => shownService.show(ctx, req, service)) }
}

const reason = Type.String({
  minLength: 1,
  maxLength: 255,
  pattern: "^(?!\\s)[^\\p{C}]*(?<!\\s)$",
})
const service = { host: fqdn, binary: Type.String({ minLength: 1, maxLength: 255 }) }
const named = ["host", "binary"] as const
const serviceBody = closed(service, named)
const disableBody = closed({ ...service, disabled_reason: reason }, [...named, "disabled_reason"])
const forceDownBody = closed({ ...service, forced_down: boolean }, [...named, "forced_down"])
const updateBody = closed({
  status: word(["enabled", "disabled"]),
  disabled_reason: reason,
  forced_down: boolean,
})

type ServiceBody = Static<typeof serviceBody> & Partial<Static<typeof disableBody>>

/** The calls of before 2.53 name the host in the body. */
async function setByHost(ctx: Ctx, req: WireRequest<ServiceBody>, change: "enable" | "disable") {
  const { host, disabled_reason } = req.body
  if (req.body.binary !== computeBinary) throw onlyCompute(req.body.binary)
  const isDisabled = change === "disable"
  const disabledReason = isDisabled ? (disabled_reason ?? null) : null
  await updateComputeHost(ctx, { host, changes: { isDisabled, disabledReason } })
  return {
    service: {
      host,
      binary: computeBinary,
      status: `${change}d`,
      ...(disabled_reason !== undefined && { disabled_reason }),
    },
  }
}

/** Nobody could tell what a disabled scheduler would do, so there is none. */
const onlyCompute = (binary: string) =>
  badRequest(`Updating a ${binary} service is not supported. Only nova-compute services can be updated.`)

async function serviceById(ctx: Ctx, req: WireRequest): Promise<ServiceFacts> {
  const id = req.params.service_id ?? ""
  const [found] = await listServices(ctx, { filters: { [idKeyAt(req.version)]: [id] } })
  if (!found) throw serviceNotFound(id)
  return found
}

async function updateService(ctx: Ctx, req: WireRequest<Static<typeof updateBody>>) {
  const { host, binary } = await serviceById(ctx, req)
  if (binary !== computeBinary) throw onlyCompute(binary)
  const { status, disabled_reason, forced_down } = req.body
  if (status === undefined && forced_down === undefined && disabled_reason === undefined)
    throw badRequest("No updates were requested. Fields 'status' or 'forced_down' should be specified.")
  if (disabled_reason !== undefined && status !== "disabled")
    throw badRequest("Specifying disabled_reason requires that status is disabled.")
  await updateComputeHost(ctx, {
    host,
    changes: {
      ...(status !== undefined && {
        isDisabled: status === "disabled",
        disabledReason: disabled_reason ?? null,
      }),
      ...(forced_down !== undefined && { isForcedDown: readBoolean(forced_down) }),
    },
  })
  return { service: shownService.show(ctx, req, await serviceById(ctx, req)) }
}

export const serviceRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/os-services",
    operation: listServices,
    told: { ...toldQuery(["host", "binary"]), ...all("services", shownService.shows) },
    handler: services,
  }),
  route({
    method: "PUT",
    path: "/os-services/enable",
    max: "2.52",
    operation: updateComputeHost,
    body: serviceBody,
    told: changed,
    handler: (ctx, req) => setByHost(ctx, req, "enable"),
  }),
  route({
    method: "PUT",
    path: "/os-services/disable",
    max: "2.52",
    operation: updateComputeHost,
    body: serviceBody,
    told: changed,
    handler: (ctx, req) => setByHost(ctx, req, "disable"),
  }),
  route({
    method: "PUT",
    path: "/os-services/disable-log-reason",
    max: "2.52",
    operation: updateComputeHost,
    body: disableBody,
    told: changed,
    handler: (ctx, req) => setByHost(ctx, req, "disable"),
  }),
  route({
    method: "PUT",
    path: "/os-services/force-down",
    min: "2.11",
    max: "2.52",
    operation: updateComputeHost,
    body: forceDownBody,
    told: changed,
    handler: async (ctx, req) => {
      const isForcedDown = readBoolean(req.body.forced_down)
      if (req.body.binary !== computeBinary) throw onlyCompute(req.body.binary)
      await updateComputeHost(ctx, { host: req.body.host, changes: { isForcedDown } })
      return { service: { host: req.body.host, binary: computeBinary, forced_down: isForcedDown } }
    },
  }),
  route({
    method: "PUT",
    path: "/os-services/{service_id}",
    min: "2.53",
    operation: updateComputeHost,
    alsoAsks: listServices,
    body: updateBody,
    told: one("service", shownService.shows),
    handler: updateService,
  }),
  route({
    method: "DELETE",
    path: "/os-services/{service_id}",
    operation: [deleteComputeHost, deleteService],
    alsoAsks: listServices,
    handler: async (ctx, req) => {
      const { id, host, binary } = await serviceById(ctx, req)
      if (binary === computeBinary) await deleteComputeHost(ctx, { host })
      else await deleteService(ctx, { id })
      return reply(204)
    },
  }),
]
