// Where back ends and rows differ, as after a backup of the cloud was restored: data that no row is of, and volumes and
// snapshots whose data are gone. Nothing of it is removed by itself.
import { inParallel } from "../../platform/clock/in-parallel.ts"
import type { Platform } from "../../platform/context/context.ts"
import { describeError } from "../../platform/fault/fault.ts"
import { callAgent } from "../agent-call.ts"
import { type Place, upSince } from "../pool/place.ts"

export interface UnknownVolume extends Place {
  id: string
  sizeBytes: number
}

export interface MissingVolume extends Place {
  kind: "volume" | "snapshot"
  id: string
  name: string | null
  projectId: string
}

export interface DifferingVolumes {
  unknown: UnknownVolume[]
  missing: MissingVolume[]
  /** Of what lies there nothing is known now. */
  silent: Place[]
}

interface Listed {
  /** By the share, where several hosts have the same back end. */
  places: Place[]
  volumes: readonly { volumeId: string; sizeBytes: number }[]
}

/** Back ends that are asked at a time. */
const atOnce = 8

/** Listed first, and the rows are read after: data whose row came in between are known then. */
export async function listDifferingVolumes(platform: Platform): Promise<DifferingVolumes> {
  const silent: Place[] = []
  const listed: Listed[] = []
  await inParallel(await storesOf(platform), atOnce, async ({ places, up }) => {
    const volumes = await listFirst(platform, up)
    if (volumes) listed.push({ places, volumes })
    else silent.push(...places)
  })
  const unknown: UnknownVolume[] = []
  const missing: MissingVolume[] = []
  for (const store of listed) {
    unknown.push(...(await unknownOf(platform, store)))
    missing.push(...(await missingOf(platform, store)))
  }
  return { unknown, missing, silent }
}

/** Each storage once, with the places that lead to it. */
async function storesOf(platform: Platform): Promise<{ places: Place[]; up: Place[] }[]> {
  const pools = await platform.db
    .selectFrom("block_storage.pool")
    .select(["host", "backend", "share", "reported_at as reportedAt"])
    .orderBy("host")
    .orderBy("backend")
    .execute()
  const since = upSince(platform)
  return [...Map.groupBy(pools, (pool) => pool.share ?? `${pool.host}@${pool.backend}`).values()].map(
    (same) => {
      const placeOf = ({ host, backend }: Place) => ({ host, backend })
      return {
        places: same.map(placeOf),
        up: same.filter(({ reportedAt }) => reportedAt > since).map(placeOf),
      }
    },
  )
}

async function listFirst(
  platform: Platform,
  places: readonly Place[],
): Promise<Listed["volumes"] | undefined> {
  for (const { host, backend } of places) {
    try {
      return await callAgent(platform, host, "volume.list", { backend })
    } catch (error) {
      platform.log.warn({ host, backend, err: describeError(error) }, "a back end did not list its volumes")
    }
  }
  return undefined
}

/** Of one statement. */
const chunkSize = 1_000

async function unknownOf({ db }: Platform, { places, volumes }: Listed): Promise<UnknownVolume[]> {
  const [place] = places
  const unknown: UnknownVolume[] = []
  for (let at = 0; place && at < volumes.length; at += chunkSize) {
    const chunk = volumes.slice(at, at + chunkSize)
    const ids = chunk.map(({ volumeId }) => volumeId)
    const rows = await db
      .selectFrom("block_storage.volume")
      .select("id")
      .where("id", "in", ids)
      .unionAll(db.selectFrom("block_storage.snapshot").select("id").where("id", "in", ids))
      // Deleted, and removed as soon as its host can.
      .unionAll(
        db.selectFrom("block_storage.leftover").select("volume_id as id").where("volume_id", "in", ids),
      )
      .execute()
    const known = new Set(rows.map(({ id }) => id))
    for (const { volumeId, sizeBytes } of chunk)
      if (!known.has(volumeId)) unknown.push({ id: volumeId, ...place, sizeBytes })
  }
  return unknown
}

/** What has no data yet, or need not have them any more. */
const withoutData = [
  "creating",
  "deleting",
  "error",
  "error_deleting",
  "managing",
  "error_managing",
  "unmanaging",
]

async function missingOf({ db }: Platform, { places, volumes }: Listed): Promise<MissingVolume[]> {
  const there = new Set(volumes.map(({ volumeId }) => volumeId))
  const missing: MissingVolume[] = []
  for (const kind of ["volume", "snapshot"] as const) {
    for (const { host, backend } of places) {
      const rows = await db
        .selectFrom(`block_storage.${kind}`)
        .select(["id", "name", "project_id as projectId"])
        .where("host", "=", host)
        .where("backend", "=", backend)
        .where("status", "not in", withoutData)
        .orderBy("created_at")
        .orderBy("id")
        .execute()
      for (const row of rows) if (!there.has(row.id)) missing.push({ kind, ...row, host, backend })
    }
  }
  return missing
}
