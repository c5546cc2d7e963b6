import { sql } from "kysely"
import {
  at,
  fewOf,
  id,
  listsOf,
  type NounFixture,
  name,
  owner,
  rows,
  same,
} from "../../../test/noun-lists/fixture.ts"
import { attachmentNoun } from "../attachment/attachment.ts"
import { backupNoun } from "../backup/backup.ts"
import { groupNoun } from "../group/group.ts"
import { groupSnapshotNoun } from "../group-snapshot/group-snapshot.ts"
import { groupTypeNoun } from "../group-type/group-type.ts"
import { messageNoun } from "../message/message.ts"
import { poolNoun } from "../pool/pool.ts"
import { qosSpecsNoun } from "../qos-specs/qos-specs.ts"
import { snapshotNoun } from "../snapshot/snapshot.ts"
import { transferNoun } from "../transfer/transfer.ts"
import type { Viewer } from "../viewer.ts"
import { volumeNoun } from "../volume/volume.ts"
import { volumeTypeNoun } from "../volume-type/volume-type.ts"

const member: Viewer = { projectId: "me", seesAll: false }
const admin: Viewer = { projectId: "admin", seesAll: true }

const user = sql`'u' || (g / 10)`
const description = sql`case g % 4 when 0 then 'as all' else 'description-' || g end`
const said = { userId: ["u3", "nobody"], description: ["as all", "description-3", "nobody's"] }
const metadata = { metadataHas: ['{"k": "v3"}', '{"k": "none"}'] }
const hosts = { host: ["host7", "host7@file", "host7@file#file", "nohost", "nohost@file"] }

export const nounLists: readonly NounFixture[] = [
  fewOf(volumeTypeNoun, "administrators make a handful"),
  fewOf(groupTypeNoun, "administrators make a handful"),
  fewOf(qosSpecsNoun, "administrators make a handful, and nobody else sees them"),
  fewOf(poolNoun, "a back end or two of each host; only administrators list them"),
  listsOf(groupNoun, {
    member,
    admin,
    rows: [
      // So many that nobody reads all of them.
      sql`insert into block_storage.group_type (id, name) select ${id("group_type")}, 'type-' || g
        from generate_series(1, 1000) g`,
      sql`insert into block_storage.volume_type (id, name) select ${id("volume_type")}, 'type-' || g
        from generate_series(1, 1000) g`,
      sql`insert into block_storage.volume_group (id, project_id, user_id, name, description, status, group_type_id,
          availability_zone, created_at)
        select ${id("group")}, ${owner}, ${user}, ${name}, ${description},
          case g % 50 when 0 then 'error' else 'available' end,
          ${id("group_type", "1 + g % 1000")}, 'nova', ${at} from ${rows}`,
      sql`insert into block_storage.group_volume_type (group_id, volume_type_id)
        select ${id("group")}, ${id("volume_type", "1 + g % 1000")} from ${rows}`,
    ],
    values: { status: ["error", "deleting"], ...said },
  }),
  listsOf(groupSnapshotNoun, {
    member,
    admin,
    rows: [
      sql`insert into block_storage.group_snapshot (id, group_id, project_id, user_id, name, description, status,
          group_type_id, created_at)
        select ${id("group_snapshot")}, ${id("group")}, ${owner}, ${user}, ${name}, ${description},
          case g % 50 when 0 then 'error' else 'available' end,
          ${id("group_type", "1 + g % 1000")}, ${at} from ${rows}`,
    ],
    values: { status: ["error", "deleting"], ...said },
  }),
  listsOf(volumeNoun, {
    member,
    admin,
    rows: [
      sql`insert into block_storage.volume (id, project_id, user_id, name, description, size_gib, status,
          availability_zone, host, backend, metadata, group_id, created_at, updated_at)
        select ${id("volume")}, ${owner}, ${user}, ${name}, ${description}, 1 + g % 50,
          case g % 50 when 0 then 'error' else 'available' end, 'nova', 'host' || g % 100, 'file',
          jsonb_build_object('k', 'v' || g),
          case when g > 4 and g % 3 = 0 then ${id("group", "g - g % 4")} end, ${at}, ${at} from ${rows}`,
      sql`insert into block_storage.volume_key (volume_id, id, sealed, provider, control_location)
        select ${id("volume")}, ${id("key")}, 's', 'luks', 'front-end' from ${rows} where g % 10 = 0`,
    ],
    values: {
      status: ["error", "deleting"],
      sizeGib: ["7", "9999"],
      ...hosts,
      ...said,
      ...metadata,
      imageMetadataHas: ['{"k": "none"}'],
      attachStatus: ["attached", "detached"],
      replicationStatus: ["error"],
      migrationStatus: ["error"],
    },
    unindexed: {
      [same]: ["attachStatus", "isMultiattach"],
    },
  }),
  listsOf(snapshotNoun, {
    member,
    admin,
    rows: [
      sql`insert into block_storage.snapshot (id, volume_id, project_id, user_id, name, description, size_gib, status,
          host, backend, metadata, group_snapshot_id, created_at)
        select ${id("snapshot")}, ${id("volume")}, ${owner}, ${user}, ${name}, ${description}, 1 + g % 50,
          case g % 50 when 0 then 'error' else 'available' end, 'host' || g % 100, 'file',
          jsonb_build_object('k', 'v' || g), ${id("group_snapshot")}, ${at} from ${rows}`,
    ],
    values: { status: ["error", "deleting"], sizeGib: ["7", "9999"], ...said, ...metadata, ...hosts },
    unindexed: { [same]: ["availabilityZone"] },
  }),
  listsOf(backupNoun, {
    member,
    admin,
    rows: [
      sql`insert into block_storage.backup_data (id, container, is_whole, created_at)
        select ${id("data")}, 'c', true, ${at} from ${rows}`,
      // Every second one is upon the one before.
      sql`insert into block_storage.backup (id, volume_id, snapshot_id, data_id, parent_id, project_id, user_id, name,
          description, size_gib, status, container, availability_zone, data_at, created_at, updated_at)
        select ${id("backup")}, ${id("volume")}, ${id("snapshot")}, ${id("data")},
          case g % 2 when 0 then md5('backup' || g - 1)::uuid end, ${owner}, ${user}, ${name},
          ${description}, 1 + g % 50, case g % 50 when 0 then 'error' else 'available' end,
          'c' || g % 500, 'nova', ${at}, ${at}, ${at} from ${rows}`,
      sql`insert into block_storage.backup_key (backup_id, id, sealed, provider, control_location)
        select ${id("backup")}, ${id("key")}, 's', 'luks', 'front-end' from ${rows} where g % 10 = 0`,
    ],
    values: { status: ["error", "deleting"], sizeGib: ["7", "9999"], container: ["c7", "none"], ...said },
  }),
  listsOf(attachmentNoun, {
    member,
    admin,
    rows: [
      sql`insert into block_storage.attachment (id, volume_id, project_id, server_id, status, created_at)
        select ${id("attachment")}, ${id("volume")}, ${owner}, 'server' || g, 'attached', ${at} from ${rows}`,
      sql`insert into block_storage.volume (id, project_id, user_id, size_gib, status, availability_zone)
        select ${id("volume")}, ${owner}, ${user}, 1, 'in-use', 'nova' from ${rows}
        on conflict do nothing`,
      sql`insert into block_storage.connection (volume_id, host, initiator, hold, generation)
        select ${id("volume")}, 'host', 'iqn.2026-01.org.example:' || g, ${id("volume")}, g from ${rows}`,
    ],
    values: { serverId: ["server3", "none"], status: ["attached", "reserved"] },
    unindexed: { [same]: ["status"] },
  }),
  listsOf(messageNoun, {
    member,
    admin,
    rows: [
      sql`insert into block_storage.message (id, project_id, resource_type, resource_id, event_id, text, request_id,
          created_at, expires_at)
        select ${id("message")}, ${owner}, case g % 2 when 0 then 'VOLUME' else 'VOLUME_SNAPSHOT' end, ${id("volume")},
          'event-' || g, 't', 'req-' || g, ${at}, ${at} from ${rows}`,
    ],
    values: {
      eventId: ["event-3", "none"],
      requestId: ["req-3", "none"],
      resourceType: ["VOLUME", "VOLUME_SNAPSHOT"],
      level: ["ERROR", "INFO"],
    },
  }),
  listsOf(transferNoun, {
    member,
    admin,
    rows: [
      sql`insert into block_storage.transfer (id, volume_id, project_id, name, key_salt, key_hash, created_at)
        select ${id("transfer")}, ${id("volume")}, ${owner}, ${name}, 'salt', 'hash', ${at} from ${rows}`,
    ],
  }),
]
