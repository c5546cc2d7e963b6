// What is in the caches of all hosts now. A cache knows data by their sum and format; the images that have such data
// are looked up, so two images of the same data are in a cache together, and a deleted image is in none.
import { sql } from "kysely"
import type { AgentCommands } from "../../agent/protocol.ts"
import { sendToAgent } from "../../engine/agent-call.ts"
import { inParallel } from "../../platform/clock/in-parallel.ts"
import type { Platform } from "../../platform/context/context.ts"
import type { Db } from "../../platform/db/database.ts"
import { describeError } from "../../platform/fault/fault.ts"
import { liveCacheHosts } from "./hosts.ts"

export interface CachedData {
  checksum: string
  diskFormat: string
}

export type HostContents = AgentCommands["image.cached"]["result"]

const askTimeoutMs = 5_000
export const hostsAtOnce = 32

/** Of the hosts that answer; one that does not says nothing. */
export async function askHosts(
  platform: Platform,
  take: (host: string, contents: HostContents) => void,
): Promise<void> {
  await inParallel(await liveCacheHosts(platform), hostsAtOnce, async (host) => {
    try {
      take(host, await sendToAgent(platform, host, "image.cached", {}, { timeoutMs: askTimeoutMs }))
    } catch (error) {
      platform.log.warn({ host, err: describeError(error) }, "a host does not tell what its cache has")
    }
  })
}

export const dataKey = ({ checksum, diskFormat }: CachedData) => `${checksum}-${diskFormat}`

/** The ids of the images that have these data, by `dataKey`. */
export async function imagesOf(db: Db, data: readonly CachedData[]): Promise<Map<string, string[]>> {
  const { rows } = await sql<{ id: string; checksum: string; disk_format: string }>`
    with data as (select * from jsonb_to_recordset(${JSON.stringify(data.map(asRow))}::jsonb)
      as d(checksum text, disk_format text))
    select i.id, d.* from data d join image.image i
      on i.checksum = d.checksum and i.disk_format = d.disk_format and i.read_checksum is null
      where i.status in ('active', 'deactivated')
    union all select i.id, d.* from data d join image.image i
      on i.read_checksum = d.checksum and i.disk_format = d.disk_format
      where i.read_checksum <> '' and i.status in ('active', 'deactivated')
    order by id`.execute(db)
  const found = new Map<string, string[]>()
  for (const { id, checksum, disk_format: diskFormat } of rows) {
    const key = dataKey({ checksum, diskFormat })
    found.set(key, [...(found.get(key) ?? []), id])
  }
  return found
}

const asRow = ({ checksum, diskFormat }: CachedData) => ({ checksum, disk_format: diskFormat })
