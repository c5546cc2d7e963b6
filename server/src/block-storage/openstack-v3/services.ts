// What operators see: services, hosts, pools, capabilities; and the availability zone.
import { Type } from "typebox"
import {
  all,
  flag,
  from,
  nothing,
  one,
  page,
  rare,
  shape,
  text,
  textMap,
  textOrNull,
} from "../../api/openstack/shape.ts"
import { microsText } from "../../platform/clock/iso-time.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { atLeast, type Microversion } from "../../platform/http/microversion.ts"
import { booleanWord, queryBoolean, queryText } from "../../platform/http/query.ts"
import type { BodyOf } from "../../platform/http/versions.ts"
import { type Route, reply, route, type WireRequest } from "../../platform/http/wire.ts"
import { anyObject, closed, typed } from "../../platform/schema/make.ts"
import {
  capabilitiesOf,
  getPoolCapabilities,
  gib,
  inputInvalid,
  listHosts,
  listPools,
  listServices,
  listZones,
  poolNotFound,
  poolNoun,
  type SeenPool,
  setLogLevel,
  setPoolUse,
  showHostUse,
  showLogLevels,
} from "../index.ts"
import { nextLink, readList, toldList } from "./parts.ts"

const binary = "cinder-volume"
const status = ({ isDisabled }: SeenPool) => (isDisabled ? "disabled" : "enabled")
const poolName = ({ host, backend }: SeenPool) => `${host}@${backend}#${backend}`

/** Of all services: none is in a cluster. */
const ofCluster = (version: Microversion) => (atLeast(version, "3.7") ? { cluster: null } : {})

function viewService(ctx: Ctx, pool: SeenPool, version: Microversion) {
  const state = pool.isUp ? "up" : "down"
  return {
    binary,
    host: pool.id,
    zone: ctx.config.blockStorage.availabilityZone,
    status: status(pool),
    state,
    updated_at: microsText(pool.reportedAt),
    ...(atLeast(version, "3.49") && { backend_state: state }),
    ...ofCluster(version),
    disabled_reason: pool.disabledReason,
    // No back end sends its data to another one.
    ...{ replication_status: "disabled", active_backend_id: null, frozen: false },
  }
}

/** What chooses back ends: a part of whatever process answers, so it is up when this is read. */
const scheduler = "cinder-scheduler"

function viewControl(ctx: Ctx, binary: string) {
  return {
    binary,
    host: ctx.config.host,
    zone: ctx.config.blockStorage.availabilityZone,
    status: "enabled",
    state: "up",
    updated_at: microsText(ctx.clock.now()),
    disabled_reason: null,
  }
}

/** As the scheduler: what takes data of backups and gives them out is a part of it. */
const backup = "cinder-backup"

async function services(ctx: Ctx, req: WireRequest) {
  const [host, asked] = [queryText(req.query, "host"), queryText(req.query, "binary")]
  const isAsked = (name: string) => asked === undefined || asked === name
  const isHere = host === undefined || host === ctx.config.host
  const control = [scheduler, backup].filter((name) => isHere && isAsked(name))
  const [name, backend] = (host ?? "").split("@")
  const filters = {
    ...(name ? { host: [name] } : {}),
    ...(backend ? { backend: [backend.replace(/#.*$/, "")] } : {}),
  }
  // Asked in any case: it says who may look.
  const { items } = await listServices(ctx, { filters })
  const pools = isAsked(binary) ? items.map((pool) => viewService(ctx, pool, req.version)) : []
  return {
    services: [
      ...control.map((name) => ({ ...viewControl(ctx, name), ...ofCluster(req.version) })),
      ...pools,
    ],
  }
}

const useBody = closed(
  {
    host: Type.String({ minLength: 1, maxLength: 255 }),
    binary: Type.String({ maxLength: 255 }),
    service: Type.String({ maxLength: 255 }),
    disabled_reason: typed(["string", "null"], { maxLength: 255 }),
  },
  ["host"],
)

const changedService = shape("ChangedVolumeService", {
  disabled: flag,
  status: text,
  host: text,
  service: text,
  binary: text,
  disabled_reason: rare(textOrNull),
})

async function use(ctx: Ctx, req: WireRequest<BodyOf<typeof useBody>>) {
  const action = req.params.action ?? ""
  const { host, disabled_reason: given = null, binary: asked, service } = req.body
  const named = asked ?? service
  const reason = action === "disable-log-reason" ? given : null
  if (action === "disable-log-reason" && !reason?.trim()) throw inputInvalid("disabled_reason: say why.")
  if (named !== undefined && named !== "" && named !== binary) throw poolNotFound(`${named} on ${host}`)
  const isDisabled = action !== "enable"
  if (!["enable", "disable", "disable-log-reason"].includes(action))
    throw inputInvalid(`${action}: the actions are enable, disable and disable-log-reason.`)
  await setPoolUse(ctx, { id: host, isDisabled, reason })
  return {
    disabled: isDisabled,
    status: isDisabled ? "disabled" : "enabled",
    host,
    service: binary,
    binary,
    ...(action === "disable" ? {} : { disabled_reason: reason }),
  }
}

const poolRules = { fields: poolNoun.fields, besides: { detail: "3.0" } }

async function pools(ctx: Ctx, req: WireRequest) {
  const isDetailed = queryBoolean(req.query, "detail") ?? false
  const found = await listPools(ctx, readList(ctx, req, poolRules).query)
  return {
    pools: found.items.map((pool) => ({
      name: poolName(pool),
      ...(isDetailed ? { capabilities: viewCapabilities(ctx, pool) } : {}),
    })),
    ...nextLink(ctx, req, "pools", found),
  }
}

const gibOf = (bytes: number) => Math.floor((bytes / gib) * 100) / 100

function viewCapabilities(ctx: Ctx, pool: SeenPool) {
  const { oversubscriptionRatio, reservedBytes } = ctx.config.blockStorage
  const words = Object.entries(capabilitiesOf(pool)).map(([name, value]) => [
    name,
    booleanWord(value) ?? value,
  ])
  return {
    ...Object.fromEntries(words),
    // Of these two every word would be a boolean.
    driver_version: "1",
    pool_name: pool.backend,
    total_capacity_gb: gibOf(pool.totalBytes),
    free_capacity_gb: gibOf(pool.freeBytes),
    provisioned_capacity_gb: gibOf(pool.promisedBytes),
    allocated_capacity_gb: gibOf(pool.promisedBytes),
    max_over_subscription_ratio: String(pool.abilities.thinProvisioning ? oversubscriptionRatio : 1),
    reserved_percentage: Math.min(100, Math.ceil((100 * reservedBytes) / Math.max(1, pool.totalBytes))),
    backend_state: pool.isUp ? "up" : "down",
    timestamp: microsText(pool.reportedAt),
  }
}

function viewHost(ctx: Ctx, pool: SeenPool) {
  return {
    "service-status": pool.isUp ? "available" : "unavailable",
    "service-state": status(pool),
    service: binary,
    zone: ctx.config.blockStorage.availabilityZone,
    host_name: pool.id,
    "last-update": microsText(pool.reportedAt),
  }
}

function viewSchedulerHost(ctx: Ctx) {
  const { host, zone, updated_at: seen } = viewControl(ctx, scheduler)
  return {
    "service-status": "available",
    "service-state": "enabled",
    service: scheduler,
    zone,
    host_name: host,
    "last-update": seen,
  }
}

const resourceOf = (
  host: string,
  project: string,
  use: { volumes: number; volumesGib: number; snapshots: number; snapshotsGib: number },
) => ({
  resource: {
    host,
    project,
    volume_count: String(use.volumes),
    total_volume_gb: String(use.volumesGib),
    snapshot_count: String(use.snapshots),
    total_snapshot_gb: String(use.snapshotsGib),
  },
})

async function hostUse(ctx: Ctx, req: WireRequest) {
  const host = req.params.host ?? ""
  const uses = await showHostUse(ctx, { id: host })
  const sum = (of: (use: (typeof uses)[number]) => number) => uses.reduce((total, use) => total + of(use), 0)
  const total = {
    volumes: sum(({ volumes }) => volumes),
    volumesGib: sum(({ volumesGib }) => volumesGib),
    snapshots: sum(({ snapshots }) => snapshots),
    snapshotsGib: sum(({ snapshotsGib }) => snapshotsGib),
  }
  return {
    host: [resourceOf(host, "(total)", total), ...uses.map((use) => resourceOf(host, use.projectId, use))],
  }
}

async function capabilities(ctx: Ctx, req: WireRequest) {
  const pool = await getPoolCapabilities(ctx, { id: req.params.host ?? "" })
  const words = capabilitiesOf(pool)
  const property = (title: string, description: string) => ({ title, description, type: "boolean" })
  return {
    namespace: `OS::Storage::Capabilities::${pool.id}`,
    vendor_name: words.vendor_name,
    volume_backend_name: pool.backend,
    pool_name: pool.backend,
    driver_version: words.driver_version,
    storage_protocol: words.storage_protocol,
    display_name: `Volumes of ${pool.id}`,
    description: "Volumes of a host of this cloud.",
    visibility: "public",
    replication_targets: [],
    properties: {
      thin_provisioning: property("Thin Provisioning", "A volume takes only what is written to it."),
      online_extend: property("Online Extend", "A volume grows while a server has it."),
    },
  }
}

const service = shape("VolumeService", {
  binary: text,
  host: text,
  zone: text,
  status: text,
  state: text,
  updated_at: text,
  disabled_reason: textOrNull,
  cluster: rare(from("3.7", nothing)),
  // Of cinder-volume alone.
  backend_state: rare(from("3.49", text)),
  replication_status: rare(text),
  active_backend_id: rare(nothing),
  frozen: rare(flag),
})
const host = shape("VolumeHost", {
  "service-status": text,
  "service-state": text,
  service: text,
  zone: text,
  host_name: text,
  "last-update": text,
})
const parameter = (...names: string[]) => ({
  query: { type: "object", properties: Object.fromEntries(names.map((name) => [name, { type: "string" }])) },
})

const which = {
  binary: typed(["string", "null"], { maxLength: 255 }),
  server: typed(["string", "null"], { maxLength: 255 }),
  prefix: typed(["string", "null"], { maxLength: 255 }),
}
const setLogBody = closed({ ...which, level: typed(["string", "null"], { maxLength: 16 }) }, [])
const getLogBody = closed(which, [])

const readWhich = ({ binary, server, prefix }: BodyOf<typeof getLogBody>) => ({
  binary: binary ?? "",
  server: server ?? "",
  prefix: prefix ?? "",
})

const logLevel = shape("LogLevel", { binary: text, host: text, levels: textMap })

export const serviceRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/os-services",
    operation: listServices,
    told: { ...parameter("host", "binary"), ...all("services", service) },
    handler: services,
  }),
  route({
    method: "PUT",
    path: "/os-services/set-log",
    min: "3.32",
    status: 202,
    body: setLogBody,
    operation: setLogLevel,
    handler: async (ctx: Ctx, req: WireRequest<BodyOf<typeof setLogBody>>) => {
      await setLogLevel(ctx, { ...readWhich(req.body), level: req.body.level ?? "" })
      return reply(202)
    },
  }),
  route({
    method: "PUT",
    path: "/os-services/get-log",
    min: "3.32",
    body: getLogBody,
    operation: showLogLevels,
    told: all("log_levels", logLevel),
    handler: async (ctx: Ctx, req: WireRequest<BodyOf<typeof getLogBody>>) => ({
      log_levels: await showLogLevels(ctx, readWhich(req.body)),
    }),
  }),
  route({
    method: "PUT",
    path: "/os-services/{action}",
    body: useBody,
    operation: setPoolUse,
    told: { answer: changedService },
    handler: use,
  }),
  route({
    method: "GET",
    path: "/os-hosts",
    operation: listHosts,
    told: all("hosts", host),
    handler: async (ctx) => {
      const { items } = await listHosts(ctx, {})
      return { hosts: [viewSchedulerHost(ctx), ...items.map((pool) => viewHost(ctx, pool))] }
    },
  }),
  route({
    method: "GET",
    path: "/os-hosts/{host}",
    operation: showHostUse,
    told: one("host", Type.Array(anyObject)),
    handler: hostUse,
  }),
  route({
    method: "GET",
    path: "/scheduler-stats/get_pools",
    operation: listPools,
    told: {
      ...toldList(poolRules, { detail: { type: "boolean" } }),
      ...page("pools", anyObject),
    },
    handler: pools,
  }),
  route({
    method: "GET",
    path: "/capabilities/{host}",
    operation: getPoolCapabilities,
    told: { answer: anyObject },
    handler: capabilities,
  }),
  route({
    method: "GET",
    path: "/os-availability-zone",
    operation: listZones,
    told: all(
      "availabilityZoneInfo",
      shape("VolumeZone", { zoneName: text, zoneState: Type.Object({ available: flag }) }),
    ),
    handler: async (ctx) => ({
      availabilityZoneInfo: (await listZones(ctx, {})).map(({ name, isAvailable }) => ({
        zoneName: name,
        zoneState: { available: isAvailable },
      })),
    }),
  }),
]
