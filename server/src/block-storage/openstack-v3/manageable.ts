// Data that are there already become volumes and snapshots. The same under two paths: the new one has a version from
// which it is there, the old one is there in all.
import { Type } from "typebox"
import { count, flag, one, page as pageOf, textMap, textOrNull } from "../../api/openstack/shape.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { atLeast, type Microversion } from "../../platform/http/microversion.ts"
import { readPage } from "../../platform/http/paging.ts"
import { queryInteger, queryText } from "../../platform/http/query.ts"
import { type BodyOf, versions } from "../../platform/http/versions.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { many, pageQuery, querySchema } from "../../platform/noun/query-schema.ts"
import { anyObject, closed, typed } from "../../platform/schema/make.ts"
import {
  hostUnavailable,
  inputInvalid,
  listManageableSnapshots,
  listManageableVolumes,
  type ManageableData,
  type ManageableKind,
  manageSnapshot,
  manageVolume,
  unmanagedName,
} from "../index.ts"
import { bodyWith, boolean, nameOrNull, readBoolean, trimmed, uuid } from "./parts.ts"
import { snapshotSummary } from "./snapshots.ts"
import { volumeDetail } from "./volume-view.ts"

interface Where {
  host?: string | null | undefined
  cluster?: string | null | undefined
}

/** There are no clusters here, so none is found. */
function hostIn({ host, cluster }: Where, version: Microversion, clustersFrom: string): string {
  const hasClusters = atLeast(version, clustersFrom)
  const named = hasClusters ? cluster : undefined
  if (Boolean(host) === Boolean(named))
    throw inputInvalid(
      hasClusters ? "One and only one of cluster and host must be set." : "Host field is missing.",
    )
  if (named) throw hostUnavailable(`Cluster '${named}' not found`)
  return host ?? ""
}

/** A text is short for `source-name`. */
function dataNameIn(kind: ManageableKind, ref: unknown): string {
  if (typeof ref === "string") return ref
  const { "source-name": name, "source-id": id } = (ref ?? {}) as Record<string, unknown>
  if (typeof name === "string" && id === undefined) return name
  if (typeof id === "string" && name === undefined) return unmanagedName(kind, id)
  throw inputInvalid("ref: Reference must contain source-name element: the name of the data, or source-id.")
}

const reference = ({ name }: ManageableData) => ({ "source-name": name })
const facts = { reference: textMap, size: count, safe_to_manage: flag }
const more = { reason_not_safe: textOrNull, cinder_id: textOrNull, extra_info: textOrNull }

const orders = {
  reference: (a: ManageableData, b: ManageableData) => (a.name < b.name ? -1 : Number(a.name > b.name)),
  size: (a: ManageableData, b: ManageableData) => a.sizeGib - b.sizeGib,
}
const sortKeys = { reference: "reference", size: "size" } as const

/** The host has them all in its answer, so they are put in order here. */
function pageIn(ctx: Ctx, { query }: WireRequest, all: readonly ManageableData[]): ManageableData[] {
  const { listLimitMost: limitMax } = ctx.config.blockStorage
  const { limit, marker, sorts } = readPage(query, {
    sortKeys,
    defaultSorts: [{ key: "reference", direction: "desc" }],
    defaultDirection: "desc",
    limitMax,
  })
  const sorted = all.toSorted((a, b) => {
    for (const { key, direction } of sorts) {
      const order = orders[key as keyof typeof orders](a, b)
      if (order !== 0) return direction === "asc" ? order : -order
    }
    return orders.reference(a, b)
  })
  const from = marker === null ? 0 : placeAfter(sorted, marker)
  const begin = from + (queryInteger(query, "offset", { min: 0 }) ?? 0)
  return sorted.slice(begin, begin + (limit ?? limitMax))
}

/** Cinder's marker is a reference, as JSON. */
function placeAfter(sorted: readonly ManageableData[], marker: string): number {
  const found = sorted.findIndex((each) => nameIn(marker) === each.name)
  if (found < 0) throw inputInvalid(`marker not found: ${marker}`)
  return found + 1
}

function nameIn(marker: string): unknown {
  try {
    return JSON.parse(marker)?.["source-name"]
  } catch {
    throw inputInvalid(`marker ${marker} can not be analysed, please use json like format`)
  }
}

interface Listed {
  key: string
  title: string
  list: typeof listManageableVolumes
  /** What is said of each besides. */
  shown: Record<string, [schema: typeof anyObject, value: object]>
}

const volumes: Listed = {
  key: "manageable-volumes",
  title: "ManageableVolume",
  list: listManageableVolumes,
  shown: {},
}
const snapshots: Listed = {
  key: "manageable-snapshots",
  title: "ManageableSnapshot",
  list: listManageableSnapshots,
  // What they were made from is not to be seen in them.
  shown: { source_reference: [anyObject, {}] },
}

const query = querySchema({
  host: { type: "string", maxLength: 511 },
  cluster: { type: "string", maxLength: 511, description: "From 3.17 on, in place of `host`." },
  ...pageQuery,
  offset: { type: "integer", minimum: 0 },
  sort: { type: "string", description: "`reference:asc,size`; instead of sort_key and sort_dir." },
  sort_key: many({ type: "string", enum: Object.keys(sortKeys) }),
  sort_dir: many({ type: "string", enum: ["asc", "desc"] }),
})

function listRoutes(path: string, { key, title, list, shown }: Listed, min?: string): Route[] {
  const besides = Object.fromEntries(Object.entries(shown).map(([name, [schema]]) => [name, schema]))
  const values = Object.fromEntries(Object.entries(shown).map(([name, [, value]]) => [name, value]))
  const show = (isDetailed: boolean) => (data: ManageableData) => ({
    reference: reference(data),
    size: data.sizeGib,
    safe_to_manage: data.problem === null,
    ...(isDetailed ? { reason_not_safe: data.problem, cinder_id: null, extra_info: null } : {}),
    ...values,
  })
  return [false, true].map((isDetailed) =>
    route({
      method: "GET",
      path: isDetailed ? `${path}/detail` : path,
      ...(min === undefined ? {} : { min }),
      operation: list,
      told: {
        query,
        ...pageOf(
          key,
          Type.Object(
            { ...facts, ...(isDetailed ? more : {}), ...besides },
            { title: isDetailed ? title : `${title}Summary` },
          ),
        ),
      },
      handler: async (ctx, req) => {
        const where = { host: queryText(req.query, "host"), cluster: queryText(req.query, "cluster") }
        const found = await list(ctx, { host: hostIn(where, req.version, "3.17") })
        return { [key]: pageIn(ctx, req, found).map(show(isDetailed)) }
      },
    }),
  )
}

const hostText = typed(["string", "null"], { minLength: 1, maxLength: 255 })
const metadataOrNull = typed(["object", "null"], { additionalProperties: { type: "string", maxLength: 255 } })

const volumeMembers = {
  host: hostText,
  ref: typed(["object", "string"]),
  name: nameOrNull,
  description: nameOrNull,
  volume_type: nameOrNull,
  availability_zone: nameOrNull,
  metadata: metadataOrNull,
  bootable: boolean,
}
const clusterText = typed(["string", "null"], { maxLength: 255 })
const volumeBody = versions({
  "": bodyWith("volume", closed(volumeMembers, ["ref"])),
  "3.16": bodyWith("volume", closed({ ...volumeMembers, cluster: clusterText }, ["ref"])),
})

async function takeVolume(ctx: Ctx, req: WireRequest<BodyOf<typeof volumeBody>>) {
  const { volume: body } = req.body
  const volume = await manageVolume(ctx, {
    host: hostIn(body, req.version, "3.16"),
    dataName: dataNameIn("volume", body.ref),
    name: body.name?.trim() || null,
    description: body.description?.trim() || null,
    volumeType: body.volume_type || null,
    availabilityZone: body.availability_zone || null,
    // The schema admits texts only.
    metadata: (body.metadata ?? {}) as Record<string, string>,
    isBootable: readBoolean("bootable", body.bootable, false),
  })
  return { volume: volumeDetail.show(ctx, req, volume) }
}

const snapshotBody = bodyWith(
  "snapshot",
  closed(
    {
      volume_id: uuid,
      ref: typed(["object", "string", "null"]),
      name: nameOrNull,
      description: nameOrNull,
      metadata: metadataOrNull,
    },
    ["volume_id", "ref"],
  ),
)

async function takeSnapshot(ctx: Ctx, req: WireRequest<BodyOf<typeof snapshotBody>>) {
  const { snapshot: body } = req.body
  const snapshot = await manageSnapshot(ctx, {
    volumeId: body.volume_id,
    dataName: dataNameIn("snapshot", body.ref),
    name: trimmed(body.name),
    description: trimmed(body.description),
    metadata: (body.metadata ?? {}) as Record<string, string>,
  })
  return { snapshot: snapshotSummary.show(ctx, req, snapshot) }
}

function routesAt(paths: { volumes: string; snapshots: string }, min?: string): Route[] {
  const since = min === undefined ? {} : { min }
  return [
    ...listRoutes(paths.volumes, volumes, min),
    ...listRoutes(paths.snapshots, snapshots, min),
    route({
      method: "POST",
      path: paths.volumes,
      ...since,
      status: 202,
      body: volumeBody,
      operation: manageVolume,
      told: one("volume", volumeDetail.shows),
      handler: takeVolume,
    }),
    route({
      method: "POST",
      path: paths.snapshots,
      ...since,
      status: 202,
      body: snapshotBody,
      operation: manageSnapshot,
      told: one("snapshot", snapshotSummary.shows),
      handler: takeSnapshot,
    }),
  ]
}

export const manageableRoutes: readonly Route[] = [
  ...routesAt({ volumes: "/manageable_volumes", snapshots: "/manageable_snapshots" }, "3.8"),
  ...routesAt({ volumes: "/os-volume-manage", snapshots: "/os-snapshot-manage" }),
]
