// Live migrations of one server that are under way, which there are none of: servers stay on their hosts. What is asked
// of one is answered as Nova does when it is not there.
import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import { isAdmin } from "../admin.ts"
import { serverInvalidState, serverLocked, serverNotFound } from "../faults.ts"
import { targetOf, visibleServer } from "../server/read.ts"
import { liveMigrationNotFound, migrationNotLive } from "./faults.ts"
import { hasMigration } from "./store.ts"

const ofServer = Type.Object({ serverId: Type.String() })
/** In Nova's numbers. */
const ofOne = Type.Object({ serverId: Type.String(), number: Type.String() })

export const listServerMigrations = operation({
  name: "compute.migration.list_of_server",
  input: ofServer,
  faults: [serverNotFound],
  load: (ctx, { serverId }) => visibleServer(ctx, serverId),
  rule: "os_compute_api:servers:migrations:index",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (): Promise<never[]> => [],
})

export const showServerMigration = operation({
  name: "compute.migration.show_of_server",
  input: ofOne,
  faults: [serverNotFound, liveMigrationNotFound, migrationNotLive],
  load: (ctx, { serverId }) => visibleServer(ctx, serverId),
  rule: "os_compute_api:servers:migrations:show",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, { number }, server): Promise<never> => {
    if (await hasMigration(ctx.db, server.id, number)) throw migrationNotLive(number, server.id)
    throw liveMigrationNotFound(number, server.id)
  },
})

/** Of what takes a server that is being migrated. */
function onMigrating(verb: string, rule: string, action: string) {
  return operation({
    name: `compute.migration.${verb}`,
    input: ofOne,
    faults: [serverNotFound, serverLocked, serverInvalidState],
    load: (ctx, { serverId }) => visibleServer(ctx, serverId),
    rule: `os_compute_api:servers:migrations:${rule}`,
    target: (_ctx, _input, server) => targetOf(server),
    run: async (ctx, _input, { id, lockedBy, taskState }): Promise<never> => {
      if (lockedBy !== null && !isAdmin(ctx)) throw serverLocked(id)
      throw serverInvalidState(id, action, "task_state", taskState ?? "None")
    },
  })
}

export const abortServerMigration = onMigrating("abort", "delete", "abort live migration")
export const forceServerMigration = onMigrating("force_complete", "force_complete", "force_complete")
