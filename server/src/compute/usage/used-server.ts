// A server as reports of usage see it, deleted ones too.
import { sql } from "kysely"
import { integer, nullable, text, time, uuid } from "../../platform/noun/field.ts"
import { noun, type Thing } from "../../platform/noun/noun.ts"
import { usageMarkerNotFound } from "./faults.ts"

export const usedServerNoun = noun({
  name: "compute.used_server",
  table: sql`compute.server`,
  alias: "s",
  order: [
    { key: "projectId", direction: "asc" },
    { key: "id", direction: "asc" },
  ],
  fields: {
    id: uuid(sql`s.id`),
    name: text(sql`s.name`),
    projectId: text(sql`s.project_id`),
    vmState: text(sql`s.vm_state`),
    flavorName: text(sql`s.flavor->>'name'`),
    vcpus: integer(sql`s.vcpus`),
    ramMib: integer(sql`s.ram_mib`),
    diskGib: integer(sql`(s.flavor->>'diskGib')::int + (s.flavor->>'ephemeralGib')::int`),
    launchedAt: time(sql`s.launched_at`),
    terminatedAt: nullable(time(sql`s.terminated_at`)),
  },
  /** Those of one project, or of all; the rules say who may ask. */
  visible: ({ projectId }: { projectId: string | null }) => {
    const launched = sql<boolean>`s.launched_at is not null`
    const row = projectId === null ? launched : sql<boolean>`${launched} and s.project_id = ${projectId}`
    return { row, main: row, others: [] }
  },
  notFound: usageMarkerNotFound,
})

export type UsedServer = Thing<typeof usedServerNoun>
