// Moves of servers to other hosts, off or running; those away from a host that is down are in evacuate.ts.
import { Type } from "typebox"
import { volumeElsewhere, volumeInvalid } from "../../block-storage/index.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { operation } from "../../platform/operation/operation.ts"
import {
  badRequest,
  serverInvalidState,
  serverLocked,
  serverNotFound,
  serverNotLaunched,
  serverNotReady,
  serverTpmRefused,
} from "../faults.ts"
import { selectHost } from "../host/store.ts"
import { insertMigration } from "../migration/store.ts"
import { checkVolumesFollow } from "./bring-volumes.ts"
import { liveMigrateSaga } from "./live-migrate.saga.ts"
import { migrateServerSaga } from "./migrate.saga.ts"
import { targetOf, visibleServer } from "./read.ts"
import { beginResize } from "./resize.ts"
import type { Server } from "./server.ts"
import { beginTask, checkState } from "./task.ts"
import { diskDevicesOf } from "./vm-spec.ts"

const states = [serverNotFound, serverLocked, serverInvalidState, serverNotLaunched, serverNotReady]
const input = Type.Object({
  serverId: Type.String(),
  /** Null: any. */
  host: Type.Union([Type.String(), Type.Null()]),
})

/** The one that it is on. */
function hostOf({ id, host }: Server): string {
  if (host === null) throw serverNotReady(id)
  return host
}

async function checkNamed(ctx: Ctx, host: string): Promise<void> {
  if (!(await selectHost(ctx.db, host))) throw badRequest(`Compute host ${host} could not be found.`)
}

/** To another host, with the same size; then it waits to be confirmed or reverted, as after a resize. */
export const migrateServer = operation({
  name: "compute.server.migrate",
  input,
  faults: [badRequest, ...states],
  load: (ctx, { serverId }) => visibleServer(ctx, serverId),
  rules: ["os_compute_api:os-migrate-server:migrate", "os_compute_api:os-migrate-server:migrate:host"],
  authorize: (_ctx, { host }, server) => [
    [`os_compute_api:os-migrate-server:migrate${host === null ? "" : ":host"}`, targetOf(server)],
  ],
  run: async (ctx, { host }, server) => {
    checkState(ctx, server, "migrate")
    const own = hostOf(server)
    if (host !== null) await checkNamed(ctx, host)
    if (host === own) throw badRequest("Cannot migrate to the host where the server exists.")
    await beginResize(ctx, server, {
      ...{ action: "migrate", saga: migrateServerSaga, flavor: null },
      more: () => ({ forcedHost: host }),
    })
  },
})

const liveInput = Type.Object({
  ...input.properties,
  /** Whether disks that are the server's own go along; null: as it needs. */
  isBlockMigration: Type.Union([Type.Boolean(), Type.Null()]),
})

/** As Nova's libvirt driver looks: whether all of its disks are where the other host has them, too. */
function checkKindOfMigration(own: string, server: Server, isBlockMigration: boolean | null): void {
  const hasOwnDisks = diskDevicesOf(server).length > 0 || server.hasConfigDrive
  if (isBlockMigration === true && !hasOwnDisks)
    throw badRequest(`${own} is not on local storage: Block migration can not be used with shared storage.`)
  if (isBlockMigration === false && hasOwnDisks)
    throw badRequest(
      `${own} is not on shared storage: Shared storage live-migration requires either shared storage or ` +
        "boot-from-volume with no local disks.",
    )
}

/** To another host, while it runs. */
export const migrateServerLive = operation({
  name: "compute.server.migrate_live",
  input: liveInput,
  faults: [badRequest, serverTpmRefused, volumeElsewhere, volumeInvalid, ...states],
  load: (ctx, { serverId }) => visibleServer(ctx, serverId),
  rules: [
    "os_compute_api:os-migrate-server:migrate_live",
    "os_compute_api:os-migrate-server:migrate_live:host",
  ],
  authorize: (_ctx, { host }, server) => [
    [`os_compute_api:os-migrate-server:migrate_live${host === null ? "" : ":host"}`, targetOf(server)],
  ],
  run: async (ctx, { host, isBlockMigration }, server) => {
    checkState(ctx, server, "migrateLive")
    const own = hostOf(server)
    if (host !== null) await checkNamed(ctx, host)
    if (host === own) throw badRequest(`Unable to migrate instance (${server.id}) to current host (${host}).`)
    checkKindOfMigration(own, server, isBlockMigration)
    await beginTask(ctx, {
      ...{ serverId: server.id, action: "migrateLive", event: "live_migration", saga: liveMigrateSaga },
      more: async (tx, claimed) => {
        await checkVolumesFollow(ctx, tx, claimed, { from: hostOf(claimed), to: host })
        await insertMigration(tx, {
          ...{ serverId: claimed.id, projectId: claimed.projectId, userId: ctx.caller.userId },
          ...{ generation: claimed.generation, type: "live-migration" },
          ...{ sourceHost: hostOf(claimed), destHost: null },
          ...{ oldFlavorId: claimed.flavor.flavorId, newFlavorId: claimed.flavor.flavorId },
        })
        return { requestedHost: host, isPaused: claimed.vmState === "paused" }
      },
    })
  },
})
