// What operators of many services of Cinder ask: clusters, and what is left half done.
import { Type } from "typebox"
import { all, one, textOrNull, texts } from "../../api/openstack/shape.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { atLeast } from "../../platform/http/microversion.ts"
import { queryBoolean, queryText } from "../../platform/http/query.ts"
import type { BodyOf } from "../../platform/http/versions.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { querySchema } from "../../platform/noun/query-schema.ts"
import { anyObject, closed, typed, word } from "../../platform/schema/make.ts"
import {
  cleanUp,
  getCluster,
  inputInvalid,
  listClusters,
  poolNoun,
  updateCluster,
  volumeTypeNoun,
} from "../index.ts"
import {
  attachmentRules,
  backupRules,
  groupRules,
  groupSnapshotRules,
  messageRules,
  snapshotRules,
  volumeRules,
} from "./list-rules.ts"
import { boolean, readBoolean, userFilters } from "./parts.ts"

const binary = "cinder-volume"

const clusterFilters = ["name", "binary", "is_up", "disabled", "num_hosts", "num_down_hosts"]
const replicationFilters = ["replication_status", "frozen", "active_backend_id"]
const clusterQuery = querySchema(
  Object.fromEntries([...clusterFilters, ...replicationFilters].map((name) => [name, { type: "string" }])),
)

async function clusters(ctx: Ctx, { query, version }: WireRequest) {
  const known = new Set([...clusterFilters, ...(atLeast(version, "3.26") ? replicationFilters : [])])
  const strange = Object.keys(query).filter((name) => !known.has(name))
  if (strange.length > 0) throw inputInvalid(`Invalid filter keys: ${strange.join(", ")}`)
  for (const name of ["is_up", "disabled"]) queryBoolean(query, name)
  return { clusters: await listClusters(ctx, {}) }
}

const clusterBody = closed(
  {
    name: Type.String({ minLength: 1, maxLength: 255 }),
    binary: typed(["string", "null"], { maxLength: 255 }),
    disabled_reason: typed(["string", "null"], { maxLength: 255 }),
  },
  ["name"],
)

const service = Type.Object({
  id: Type.String(),
  host: Type.String(),
  binary: Type.String(),
  cluster_name: textOrNull,
})

const cleanBody = closed({
  cluster_name: typed(["string", "null"], { maxLength: 255 }),
  service_id: typed(["integer", "null"]),
  host: typed(["string", "null"], { maxLength: 255 }),
  binary: word(["cinder-volume", "cinder-scheduler"]),
  is_up: boolean,
  disabled: boolean,
  resource_id: typed(["string", "null"], { format: "uuid" }),
  resource_type: typed(["string", "null"], { enum: ["Volume", "Snapshot", "volume", "snapshot", null] }),
})

/** Services are known here by their hosts, and by no numbers. */
async function clean(ctx: Ctx, { body }: WireRequest<BodyOf<typeof cleanBody>>) {
  const isNobody =
    Boolean(body.cluster_name) ||
    (body.service_id ?? null) !== null ||
    (body.binary !== undefined && body.binary !== binary)
  const isUp = readBoolean("is_up", body.is_up, false)
  const pools = await cleanUp(ctx, {
    host: body.host ?? null,
    isUp,
    isDisabled: body.disabled === undefined ? null : readBoolean("disabled", body.disabled, false),
    resourceId: body.resource_id ?? null,
  })
  const found = isNobody ? [] : pools
  const services = found.map(({ id: host }) => ({ id: host, host, binary, cluster_name: null }))
  return { cleaning: isUp ? services : [], unavailable: isUp ? [] : services }
}

/** Cinder's words for what has lists with filters. */
const filtered = {
  volume: volumeRules,
  backup: backupRules,
  snapshot: snapshotRules,
  group: groupRules,
  group_snapshot: groupSnapshotRules,
  attachment: attachmentRules,
  message: messageRules,
  pool: { fields: poolNoun.fields },
  volume_type: { fields: volumeTypeNoun.fields },
}
const filtersOf = Object.entries(filtered).map(([resource, rules]) => ({
  resource,
  filters: userFilters(rules),
}))

const since = { min: "3.7" }

export const clusterRoutes: readonly Route[] = [
  ...["/clusters", "/clusters/detail"].map((path) =>
    route({
      method: "GET",
      path,
      ...since,
      operation: listClusters,
      told: { query: clusterQuery, ...all("clusters", anyObject) },
      handler: clusters,
    }),
  ),
  route({
    method: "GET",
    path: "/clusters/{cluster_name}",
    ...since,
    operation: getCluster,
    told: { query: querySchema({ binary: { type: "string" } }), ...one("cluster", anyObject) },
    handler: async (ctx, { params }) => ({
      cluster: await getCluster(ctx, { name: params.cluster_name ?? "" }),
    }),
  }),
  ...["enable", "disable"].map((action) =>
    route({
      method: "PUT",
      path: `/clusters/${action}`,
      ...since,
      body: clusterBody,
      operation: updateCluster,
      told: one("cluster", anyObject),
      handler: async (ctx, { body }) => ({ cluster: await updateCluster(ctx, { name: body.name }) }),
    }),
  ),
  route({
    method: "POST",
    path: "/workers/cleanup",
    min: "3.24",
    status: 202,
    body: cleanBody,
    operation: cleanUp,
    told: { answer: Type.Object({ cleaning: Type.Array(service), unavailable: Type.Array(service) }) },
    handler: clean,
  }),
  route({
    method: "GET",
    path: "/resource_filters",
    min: "3.33",
    policy: "authenticated",
    told: {
      query: querySchema({ resource: { type: "string" } }),
      ...all("resource_filters", Type.Object({ resource: Type.String(), filters: texts })),
    },
    handler: async (_ctx, { query }) => {
      const resource = queryText(query, "resource")
      return {
        resource_filters: filtersOf.filter((each) => resource === undefined || each.resource === resource),
      }
    },
  }),
]
