// For backups of the cloud: the data of every backup of a volume, read in the caller's snapshot.
import type pg from "pg"

export interface BackupDataFacts {
  /** Of the data, in the store. */
  id: string
  container: string
  backupId: string
  name: string | null
  volumeId: string
  projectId: string
}

/** Of one answer. */
const pageSize = 1_000

/** Whole ones that nobody has asked to be removed. Data that two backups have are there once. */
export async function* backupsWithData(client: pg.Client): AsyncGenerator<BackupDataFacts> {
  for (let after = "00000000-0000-0000-0000-000000000000"; ; ) {
    const { rows } = await client.query<BackupDataFacts>(
      `select distinct on (d.id) d.id, d.container, b.id as "backupId", b.name, b.volume_id as "volumeId",
         b.project_id as "projectId"
       from block_storage.backup_data d join block_storage.backup b on b.data_id = d.id
       where d.id > $1 and d.is_whole and d.going_since is null order by d.id, b.id limit ${pageSize}`,
      [after],
    )
    yield* rows
    const last = rows.at(-1)
    if (!last || rows.length < pageSize) return
    after = last.id
  }
}
