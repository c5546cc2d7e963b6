// For backups: every file of an image, image by image, read in the caller's snapshot, and where the files lie.
import type pg from "pg"
import type { Config } from "../../platform/config/config.ts"
import { storePaths } from "./paths.ts"
import { fileStores } from "./stores.ts"

export interface ImageDataFacts {
  id: string
  name: string | null
  store: string
  /** In the store's directory. */
  file: string
  sizeBytes: number
  checksum: string | null
  osHashValue: string | null
}

/** Of the files of each store. */
export function imageStoreDirectories(config: Config): ReadonlyMap<string, string> {
  return new Map(fileStores({ config }).map(({ id }) => [id, storePaths({ config }, id).store]))
}

/** Places in one answer. */
const pageSize = 1000

export async function* imagesWithData(client: pg.Client): AsyncGenerator<ImageDataFacts> {
  const least = "00000000-0000-0000-0000-000000000000"
  let after = { image: least, place: least }
  for (;;) {
    const { rows } = await client.query<ImageDataFacts & { place: string }>(
      `select l.id as place, i.id, i.name, l.store, l.file, coalesce(i.size_bytes, 0)::float8 as "sizeBytes",
         i.checksum, i.os_hash_value as "osHashValue"
       from image.location l join image.image i on i.id = l.image_id
       where (l.image_id, l.id) > ($1, $2) and l.file is not null order by l.image_id, l.id limit ${pageSize}`,
      [after.image, after.place],
    )
    for (const { place: _, ...facts } of rows) yield facts
    const last = rows.at(-1)
    if (!last || rows.length < pageSize) return
    after = { image: last.id, place: last.place }
  }
}
