import { sql } from "kysely"
import {
  at,
  count,
  id,
  listsOf,
  type NounFixture,
  name,
  owner,
  rows,
  seen,
} from "../../../test/noun-lists/fixture.ts"
import { type ImageViewer, imageNoun } from "../image/image.ts"

const member: ImageViewer = { projectId: "me", seesAll: false }
const admin: ImageViewer = { projectId: "admin", seesAll: true }
const stranger: ImageViewer = { projectId: null, seesAll: false }
const viewers = { member, admin, stranger }

export const nounLists: readonly NounFixture[] = [
  listsOf(imageNoun, {
    ...viewers,
    rows: [
      sql`insert into image.image (id, project_id, name, status, visibility, disk_format, container_format, size_bytes,
          checksum, created_at, updated_at)
        select ${id("image")}, ${owner}, ${name}, 'active', case when g = 100 then 'public'
          when g % 2 = 0 then 'shared' else 'private' end, 'qcow2', 'bare', g, md5(g::text), ${at}, ${at} from ${rows}`,
      // All are shared with somebody; the last few with the member.
      sql`insert into image.member (image_id, member_id, status, created_at, updated_at)
        select ${id("image")}, case when g > ${sql.lit(count - 2 * seen)} then 'me' else 'somebody' || g end, 'accepted',
          ${at}, ${at} from ${rows} where g % 2 = 0`,
    ],
    values: { visibility: ["public", "private"], tags: ["a"] },
    unindexed: {
      "most have the same value: a page is soon full": [
        "status",
        "diskFormat",
        "containerFormat",
        "minDiskGib",
        "minRamMib",
        "isProtected",
        "isHidden",
        "osHashAlgo",
      ],
      "nobody looks for it in the whole cloud": ["sizeBytes", "virtualSizeBytes", "updatedAt"],
    },
  }),
]
