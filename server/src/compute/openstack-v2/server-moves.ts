// Moves of servers to other hosts: Nova's actions, and what it shows of those that are under way.
import { Type } from "typebox"
import { one } from "../../api/openstack/shape.ts"
import { atLeast } from "../../platform/http/microversion.ts"
import { versions } from "../../platform/http/versions.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { closed, nullable } from "../../platform/schema/make.ts"
import {
  abortServerMigration,
  badRequest,
  evacuateServer,
  forceServerMigration,
  listServerMigrations,
  migrateServer,
  migrateServerLive,
  showServerMigration,
} from "../index.ts"
import { bodyOf, bodyWith, boolean, booleanOrAuto, fqdn, readBoolean } from "./schema-parts.ts"
import { action } from "./server-action.ts"
import { adminPass, anything } from "./server-schemas.ts"

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
      await migrateServerLive(ctx, { serverId, host: asked.host || null })
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
    run: async (ctx, { serverId, body: { evacuate: asked } }) => {
      checkForced(asked.force, asked.host)
      if (readBoolean(asked.onSharedStorage) && asked.adminPass !== undefined)
        throw badRequest("admin password can't be changed on existing disk")
      await evacuateServer(ctx, { serverId, host: asked.host ?? null })
    },
  }),
}

const serverOf = (req: WireRequest) => ({ serverId: req.params.server_id ?? "" })
const migrationOf = (req: WireRequest) => ({ ...serverOf(req), number: req.params.migration_id ?? "" })

export const serverMigrationRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/servers/{server_id}/migrations",
    min: "2.23",
    operation: listServerMigrations,
    told: one("migrations", Type.Array(Type.Never())),
    handler: async (ctx, req) => ({ migrations: await listServerMigrations(ctx, serverOf(req)) }),
  }),
  route({
    method: "GET",
    path: "/servers/{server_id}/migrations/{migration_id}",
    min: "2.23",
    operation: showServerMigration,
    handler: (ctx, req) => showServerMigration(ctx, migrationOf(req)),
  }),
  route({
    method: "DELETE",
    path: "/servers/{server_id}/migrations/{migration_id}",
    min: "2.24",
    status: 202,
    operation: abortServerMigration,
    handler: (ctx, req) => abortServerMigration(ctx, migrationOf(req)),
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
