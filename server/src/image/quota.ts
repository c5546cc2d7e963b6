// What a project has of images, under Glance's names. The limits are registered with identity, where operators change
// them; the configuration says what they start with.
import { sql } from "kysely"
import { unifiedLimit } from "../identity/index.ts"
import { countOf, declareQuota, sumOf } from "../quota/index.ts"

const images = { table: sql`image.image`, where: sql`status <> 'killed'` }
/** Each store that has the data keeps a copy. What lies at addresses elsewhere takes no room. */
const stored = {
  table: sql`(select i.project_id, i.size_bytes from image.image i join image.location l on l.image_id = i.id
    where l.file is not null and i.status in ('active', 'deactivated')) stored`,
}
const mib = 1024 * 1024

export const imageQuota = declareQuota({
  service: "image",
  resources: {
    image_count_total: { default: ({ image }) => image.quota.countMax, use: countOf(images) },
    image_size_total: {
      default: ({ image }) => image.quota.sizeMibMax,
      use: sumOf(stored, sql`size_bytes`, { unit: mib }),
    },
    image_stage_total: {
      default: ({ image }) => image.quota.stageMibMax,
      use: sumOf(images, sql`size_bytes`, { filter: sql`status in ('uploading', 'importing')`, unit: mib }),
    },
    image_count_uploading: {
      default: ({ image }) => image.quota.uploadMax,
      use: countOf(images, sql`status in ('saving', 'uploading', 'importing')`),
    },
  },
  limitOf: ({ config, projectId, resource }) =>
    unifiedLimit({ projectId, serviceType: "image", region: config.region, resource }),
})
