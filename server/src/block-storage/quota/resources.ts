// What a project has limits for.
import { sql } from "kysely"
import { countOf, declareQuota, resourcesOf, sumOf } from "../../quota/index.ts"
import "../config.ts"

const volumes = { table: sql`block_storage.volume` }
const snapshots = { table: sql`block_storage.snapshot` }
const groups = { table: sql`block_storage.volume_group` }
const backups = { table: sql`block_storage.backup` }
/** Volumes and snapshots share one limit. */
const data = {
  table: sql`(select project_id, size_gib from block_storage.volume
    union all select project_id, size_gib from block_storage.snapshot) data`,
}

export const blockStorageQuota = declareQuota({
  service: "block_storage",
  resources: {
    volumes: { default: ({ blockStorage }) => blockStorage.quota.volumes, use: countOf(volumes) },
    gigabytes: {
      default: ({ blockStorage }) => blockStorage.quota.gigabytes,
      use: sumOf(data, sql`size_gib`),
    },
    snapshots: { default: ({ blockStorage }) => blockStorage.quota.snapshots, use: countOf(snapshots) },
    // Bounds each volume by itself.
    per_volume_gigabytes: { default: ({ blockStorage }) => blockStorage.quota.perVolumeGigabytes },
    backups: { default: ({ blockStorage }) => blockStorage.quota.backups, use: countOf(backups) },
    backup_gigabytes: {
      default: ({ blockStorage }) => blockStorage.quota.backupGigabytes,
      use: sumOf(backups, sql`size_gib`),
    },
    groups: { default: ({ blockStorage }) => blockStorage.quota.groups, use: countOf(groups) },
  },
})

export const quotaResources = resourcesOf(blockStorageQuota)
export type QuotaResource = (typeof quotaResources)[number]
