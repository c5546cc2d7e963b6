// For backups: every image with data, read in the caller's snapshot, and where the data lie.
import type pg from "pg"
import type { Config } from "../../platform/config/config.ts"
import { storePaths } from "./paths.ts"

export interface ImageDataFacts {
  id: string
  name: string | null
  /** In the store's directory. */
  file: string
  sizeBytes: number
  checksum: string | null
  osHashValue: string | null
}

export function imageStoreDirectory(config: Config): string {
  return storePaths({ config }).store
}

/** Images in one answer. */
const pageSize = 1000

export async function* imagesWithData(client: pg.Client): AsyncGenerator<ImageDataFacts> {
  let after = "00000000-0000-0000-0000-000000000000"
  for (;;) {
    const { rows } = await client.query<ImageDataFacts>(
      `select id, name, data_file as file, coalesce(size_bytes, 0)::float8 as "sizeBytes", checksum,
         os_hash_value as "osHashValue"
       from image.image where id > $1 and data_file is not null order by id limit ${pageSize}`,
      [after],
    )
    yield* rows
    const last = rows.at(-1)
    if (!last || rows.length < pageSize) return
    after = last.id
  }
}
