import { createHash } from "node:crypto"
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
} from "../../../test/noun-lists/fixture.ts"
import { aggregateNoun } from "../aggregate/aggregate.ts"
import { flavorNoun } from "../flavor/flavor.ts"
import { controlServiceNoun } from "../host/control-service.ts"
import { hostNoun } from "../host/host.ts"
import { keypairNoun } from "../keypair/keypair.ts"
import { migrationNoun } from "../migration/migration.ts"
import { serverNoun } from "../server/server.ts"
import { serverActionEventNoun, serverActionNoun } from "../server-action/server-action.ts"
import { serverGroupNoun } from "../server-group/server-group.ts"
import { usedServerNoun } from "../usage/used-server.ts"
import { everything as admin } from "../viewer.ts"

const member = { projectId: "me", seesAll: false }
/** Each has a hundred servers and more. */
const host = sql`'host-' || g % 200`
const hostValues = ["host-7", "nobody's"]

/** Servers, which other nouns name. Most run; a few are in other states. */
const servers = sql`insert into compute.server (id, project_id, user_id, name, hostname, vm_state, task_state, power_state,
    host, image_id, flavor, flavor_id, vcpus, ram_mib, tags, reservation_id, server_group_id, created_at, updated_at,
    launched_at)
  select ${id("server")}, ${owner}, ${owner}, ${name}, 'h',
    case when g % 1000 = 0 then 'error' when g % 3 = 0 then 'stopped' else 'active' end,
    case when g % 1000 = 1 then 'spawning' end, case when g % 3 = 0 then 4 else 1 end, ${host}, ${id("image", "g / 10")},
    '{"name": "f", "diskGib": 1, "ephemeralGib": 0}', 'f' || g / 100, 1, 1, array['t' || g / 10], 'r-' || g,
    ${id("server group")}, ${at}, ${at}, ${at} from ${rows}`

const there = { withDeleted: false }
/** The test asks for the times of creation by comparing, which the order serves. */
const patterns = Object.entries(serverNoun.fields).flatMap(([key, field]) =>
  "isPattern" in field && field.isPattern && key !== "createdAt" ? [key] : [],
)

export const nounLists: readonly NounFixture[] = [
  listsOf(flavorNoun, {
    admin,
    member,
    rows: [
      // One is public; the member has the first few.
      sql`insert into compute.flavor (id, flavor_id, name, vcpus, ram_mib, disk_gib, is_public, created_at)
        select ${id("flavor")}, 'flavor-' || g, 'name-' || g, 1 + g % 64, 1 + g % 1000, g % 1000, g = 100, ${at}
        from ${rows}`,
      sql`insert into compute.flavor_access (flavor_id, project_id)
        select ${id("flavor")}, ${owner} from ${rows} where g <> 100`,
    ],
  }),
  listsOf(keypairNoun, {
    admin: { userId: "me" },
    member: { userId: "me" },
    rows: [
      sql`insert into compute.keypair (user_id, name, type, public_key, fingerprint, created_at)
        select ${owner}, 'name-' || g, 'ssh', 'k', 'f', ${at} from ${rows}`,
    ],
  }),
  listsOf(aggregateNoun, {
    admin,
    rows: [
      sql`insert into compute.aggregate (uuid, name, metadata, created_at)
        select ${id("aggregate")}, 'name-' || g, jsonb_build_object('availability_zone', 'zone-' || g), ${at} from ${rows}`,
      sql`insert into compute.aggregate_host (aggregate_id, host) select id, 'host-' || id from compute.aggregate`,
    ],
  }),
  listsOf(hostNoun, {
    admin,
    rows: [
      sql`insert into compute.host (name, id, service_id, description, last_seen_at)
        select 'host-' || g, ${id("host")}, ${id("host service")}, '{}', ${at} from ${rows}`,
    ],
    values: { name: hostValues, namePart: ["host", "nobody's"] },
    unindexed: { "a part of a name, for operators": ["namePart"] },
  }),
  fewOf(controlServiceNoun, "two for each process that works"),
  listsOf(serverGroupNoun, {
    admin,
    member,
    rows: [
      sql`insert into compute.server_group (id, project_id, user_id, name, policy, created_at)
        select ${id("server group")}, ${owner}, ${owner}, ${name}, 'affinity', ${at} from ${rows}`,
      servers,
    ],
  }),
  listsOf(serverNoun, {
    admin: { ...admin, ...there },
    member: { ...member, ...there },
    rows: [],
    values: {
      vmState: ["active", "error", "soft-delete"],
      taskState: ["spawning", "pausing"],
      softDeleted: ["false"],
      host: hostValues,
      node: hostValues,
      flavorId: ["f7", "nobody's"],
      tags: ["t7", "nobody's"],
      tagsAny: ["t7", "nobody's"],
      notTags: ["t7"],
      notTagsAny: ["t7"],
      locked: ["true", "false"],
      lockedBy: ["admin"],
      deleted: ["false"],
    },
    unindexed: {
      "a regular expression reads all; one that may take long has half a second, two at a time": patterns,
      "nobody looks for it in the whole cloud": ["powerState", "progress", "launchIndex", "locked"],
      "most have the same value: a page is soon full": ["hasConfigDrive", "hasAutoDiskConfig"],
    },
  }),
  listsOf(usedServerNoun, { admin: { projectId: null }, member: { projectId: "me" }, rows: [] }),
  listsOf(migrationNoun, {
    admin,
    rows: [
      sql`insert into compute.migration (id, server_id, project_id, user_id, generation, type, status, source_host,
          dest_host, old_flavor_number, new_flavor_number, created_at)
        select ${id("migration")}, ${id("server")}, ${owner}, ${owner}, 1, 'resize',
          case when g % 1000 = 0 then 'error' else 'confirmed' end, ${host}, ${host}, 1, 2, ${at} from ${rows}`,
    ],
    values: {
      type: ["resize", "evacuation"],
      status: ["confirmed", "error", "nobody's"],
      host: hostValues,
      sourceHost: hostValues,
      userId: ["me", "nobody"],
    },
  }),
  listsOf(serverActionNoun, {
    admin: { serverId: createHash("md5").update("server7").digest("hex") },
    rows: [
      sql`insert into compute.server_action (server_id, action, request_id, user_id, project_id, started_at, updated_at)
        select ${id("server")}, 'create', 'req-' || g, ${owner}, ${owner}, ${at}, ${at} from ${rows}`,
    ],
  }),
  listsOf(serverActionEventNoun, {
    admin: { actionId: 7 },
    rows: [
      sql`insert into compute.server_action_event (action_id, event, started_at)
        select id, 'event', started_at from compute.server_action`,
    ],
  }),
]
