// Moves of servers to other hosts: Nova's actions, and what it shows of those that are under way.
import { Type } from "typebox"
import { count, nothing, one, rare, text } from "../../api/openstack/shape.ts"
import { named, since, view } from "../../api/openstack/view.ts"
import { atLeast } from "../../platform/http/microversion.ts"
import { gone, versions } from "../../platform/http/versions.ts"
import { type Route, reply, route, type WireRequest } from "../../platform/http/wire.ts"
import { closed, nullable } from "../../platform/schema/make.ts"
import {
  abortServerMigration,
  badRequest,
  evacuateServer,
  forceServerMigration,
  type LiveMigration,
  listServerMigrations,
  migrateServer,
  migrateServerLive,
  migrationNoun,
  showServerMigration,
} from "../index.ts"
import { bodyOf, bodyWith, boolean, booleanOrAuto, fqdn, readBoolean } from "./schema-parts.ts"
import { action } from "./server-action.ts"
import { adminPass, anything } from "./server-schemas.ts"
import { newPassword } from "./servers.ts"

const hostOrNull = nullable(fqdn)

const live = { block_migration: booleanOrAuto, host: hostOrNull }
const livePlain = bodyOf("os-migrateLive", live, ["block_migration", "host"])
const evacuated = { host: fqdn, adminPass }
const evacuatedPlain = bodyOf("evacuate", evacuated)

/** A host that is not looked at must be named. */
function checkForced(force: boolean | string | undefined, host: string | null | undefined): void {
  if (readBoolean(force) && !host) throw badRequest("Can't force to a non-provided destination")
}

export const moveActions = {
  migrate: action({
    operation: migrateServer,
    schema: versions({
      "2.1": anything("migrate"),
      "2.56": bodyWith("migrate", nullable(closed({ host: hostOrNull }))),
    }),
    run: async (ctx, { serverId, body, version }) => {
      const asked = atLeast(version, "2.56") ? body.migrate : null
      await migrateServer(ctx, { serverId, host: asked?.host || null })
    },
  }),
  "os-migrateLive": action({
    operation: migrateServerLive,
    schema: versions({
      "2.1": bodyOf(
        "os-migrateLive",
        { block_migration: boolean, disk_over_commit: boolean, host: hostOrNull },
        ["block_migration", "disk_over_commit", "host"],
      ),
      "2.25": livePlain,
      "2.30": bodyOf("os-migrateLive", { ...live, force: boolean }, ["block_migration", "host"]),
      "2.68": livePlain,
    }),
    run: async (ctx, { serverId, body: { "os-migrateLive": asked } }) => {
      checkForced(asked.force, asked.host)
      const wanted = asked.block_migration
      const isBlockMigration = wanted === "auto" ? null : readBoolean(wanted)
      await migrateServerLive(ctx, { serverId, host: asked.host || null, isBlockMigration })
    },
  }),
  evacuate: action({
    operation: evacuateServer,
    schema: versions({
      "2.1": bodyOf("evacuate", { ...evacuated, onSharedStorage: boolean }, ["onSharedStorage"]),
      "2.14": evacuatedPlain,
      "2.29": bodyOf("evacuate", { ...evacuated, force: boolean }),
      "2.68": evacuatedPlain,
    }),
    told: versions({ "2.1": Type.Object({ adminPass: rare(text) }), "2.14": gone }),
    run: async (ctx, { serverId, body: { evacuate: asked }, version }) => {
      checkForced(asked.force, asked.host)
      const isShared = readBoolean(asked.onSharedStorage)
      if (isShared && asked.adminPass !== undefined)
        throw badRequest("admin password can't be changed on existing disk")
      const adminPassword = isShared ? null : (asked.adminPass ?? newPassword())
      await evacuateServer(ctx, {
        ...{ serverId, host: asked.host ?? null, isForced: readBoolean(asked.force) },
        ...{ isOnSharedStorage: isShared, endsStopped: atLeast(version, "2.95") },
        ...(adminPassword !== null && { adminPassword }),
      })
      // It has always been 200.
      if (atLeast(version, "2.14")) return reply(200)
      return reply(200, ctx.config.compute.enableInstancePassword ? { adminPass: adminPassword } : {})
    },
  }),
}

const { fields } = migrationNoun
const bytes = (part: "memory" | "disk", of: "totalBytes" | "processedBytes" | "remainingBytes") =>
  [count, ({ progress }: LiveMigration) => progress?.[part][of] ?? 0] as const

const liveMigration = view<LiveMigration>("LiveMigration", {
  ...named(fields, {
    ...{ id: "number", server_uuid: "serverId", status: "status" },
    ...{ source_node: "sourceHost", source_compute: "sourceHost" },
    ...{ dest_node: "destHost", dest_compute: "destHost" },
    ...{ created_at: "createdAt", updated_at: "updatedAt" },
  }),
  // An address is kept of no host.
  dest_host: [nothing, () => null],
  memory_total_bytes: bytes("memory", "totalBytes"),
  memory_processed_bytes: bytes("memory", "processedBytes"),
  memory_remaining_bytes: bytes("memory", "remainingBytes"),
  disk_total_bytes: bytes("disk", "totalBytes"),
  disk_processed_bytes: bytes("disk", "processedBytes"),
  disk_remaining_bytes: bytes("disk", "remainingBytes"),
  ...since("2.59", named(fields, { uuid: "id" })),
  ...since("2.80", named(fields, { user_id: "userId", project_id: "projectId" })),
})

const serverOf = (req: WireRequest) => ({ serverId: req.params.server_id ?? "" })
const migrationOf = (req: WireRequest) => ({ ...serverOf(req), number: req.params.migration_id ?? "" })

export const serverMigrationRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/servers/{server_id}/migrations",
    min: "2.23",
    operation: listServerMigrations,
    told: one("migrations", Type.Array(liveMigration.shows)),
    handler: async (ctx, req) => ({
      migrations: (await listServerMigrations(ctx, serverOf(req))).map((each) =>
        liveMigration.show(ctx, req, each),
      ),
    }),
  }),
  route({
    method: "GET",
    path: "/servers/{server_id}/migrations/{migration_id}",
    min: "2.23",
    operation: showServerMigration,
    told: one("migration", liveMigration.shows),
    handler: async (ctx, req) => ({
      migration: liveMigration.show(ctx, req, await showServerMigration(ctx, migrationOf(req))),
    }),
  }),
  route({
    method: "DELETE",
    path: "/servers/{server_id}/migrations/{migration_id}",
    min: "2.24",
    status: 202,
    operation: abortServerMigration,
    handler: (ctx, req) =>
      abortServerMigration(ctx, { ...migrationOf(req), mayWait: atLeast(req.version, "2.65") }),
  }),
  route({
    method: "POST",
    path: "/servers/{server_id}/migrations/{migration_id}/action",
    min: "2.22",
    status: 202,
    actions: { force_complete: forceServerMigration },
    body: bodyWith("force_complete", Type.Null()),
    handler: (ctx, req) => forceServerMigration(ctx, migrationOf(req)),
  }),
]
