import { createHash } from "node:crypto"
import { sql } from "kysely"
import {
  at,
  count,
  id,
  listsOf,
  type NounFixture,
  name,
  nobody,
  owner,
  rows,
  same,
  seen,
} from "../../../test/noun-lists/fixture.ts"
import { type ImageViewer, imageNoun } from "../image/image.ts"
import { memberNoun } from "../member/member.ts"
import { itemNoun } from "../metadef-item/item.ts"
import { namespaceNoun } from "../metadef-namespace/namespace.ts"
import { associationNoun } from "../metadef-resource-type/association.ts"
import { resourceTypeNoun } from "../metadef-resource-type/resource-type.ts"
import { taskNoun } from "../task/task.ts"

const member: ImageViewer = { projectId: "me", seesAll: false }
const admin: ImageViewer = { projectId: "admin", seesAll: true }
const stranger: ImageViewer = { projectId: null, seesAll: false }
/** Ids as the database makes them, of the images and namespaces with number 10. */
const [imageId = "", namespaceId = ""] = ["image10", "namespace10"].map((text) => {
  const hex = createHash("md5").update(text).digest("hex")
  return hex.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, "$1-$2-$3-$4-$5")
})
const viewers = { member, admin, stranger }

export const nounLists: readonly NounFixture[] = [
  listsOf(imageNoun, {
    ...viewers,
    rows: [
      sql`insert into image.image (id, project_id, name, status, visibility, disk_format, container_format, size_bytes,
          checksum, tags, created_at, updated_at)
        select ${id("image")}, ${owner}, ${name}, 'active', case when g = 100 then 'public'
          when g % 2 = 0 then 'shared' else 'private' end, 'qcow2', 'bare', g, md5(g::text),
          case g % 10 when 7 then array['t' || g / 100] else '{}' end, ${at}, ${at} from ${rows}`,
      sql`insert into image.location (image_id, position, store, file, created_at)
        select ${id("image")}, 0, 'file', 'f' || g, ${at} from ${rows}`,
      // All are shared with somebody; the last few with the member.
      sql`insert into image.member (image_id, member_id, status, created_at, updated_at)
        select ${id("image")}, case when g > ${sql.lit(count - 2 * seen)} then 'me' else 'somebody' || g end, 'accepted',
          ${at}, ${at} from ${rows} where g % 2 = 0`,
    ],
    values: { visibility: ["public", "private"], tags: ["t7", "nobody's"] },
    unindexed: {
      [same]: [
        "status",
        "diskFormat",
        "containerFormat",
        "minDiskGib",
        "minRamMib",
        "isProtected",
        "isHidden",
        "osHashAlgo",
      ],
      [nobody]: ["sizeBytes", "virtualSizeBytes", "updatedAt"],
    },
  }),
  // Its rows are there already.
  listsOf(memberNoun, { admin: "all", rows: [], within: { imageId: [imageId] } }),
  listsOf(taskNoun, {
    member,
    admin,
    rows: [
      sql`insert into image.task (id, type, status, project_id, image_id, input, created_at, updated_at)
        select ${id("task")}, 'api_image_import', 'success', ${owner}, ${id("image")}, '{}', ${at}, ${at} from ${rows}`,
    ],
    unindexed: { [same]: ["type", "status"] },
  }),
  listsOf(namespaceNoun, {
    ...viewers,
    rows: [
      sql`insert into image.metadef_namespace (id, name, visibility, is_protected, project_id, created_at, updated_at)
        select ${id("namespace")}, 'name-' || g, case when g = 100 then 'public' else 'private' end, false, ${owner},
          ${at}, ${at} from ${rows}`,
    ],
    values: { visibility: ["public", "private"], resourceTypes: ["OS::Nova::Server", "nobody's"] },
  }),
  listsOf(itemNoun, {
    admin: undefined,
    rows: [
      sql`insert into image.metadef_item (namespace_id, kind, name, definition, created_at, updated_at)
        select ${id("namespace")}, case when g % 2 = 0 then 'object' else 'tag' end, 'name', '{}', ${at}, ${at}
        from ${rows}`,
    ],
    within: { namespaceId: [namespaceId] },
  }),
  listsOf(resourceTypeNoun, {
    admin: undefined,
    rows: [sql`insert into image.metadef_resource_type (name) select 'type-' || g from ${rows}`],
  }),
  listsOf(associationNoun, {
    admin: undefined,
    rows: [
      sql`insert into image.metadef_association (namespace_id, resource_type, created_at, updated_at)
        select ${id("namespace")}, 'type-' || g % 50 + 1, ${at}, ${at} from ${rows}`,
    ],
    within: { namespaceId: [namespaceId] },
  }),
]
