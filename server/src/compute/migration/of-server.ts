// Live migrations of one server that are under way, with how far they are, and what may be said to them. Those that are
// over, and moves of servers that were off, are not among them: as in Nova.
import { Type } from "typebox"
import type { LiveProgress } from "../../agent/protocol.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { transact } from "../../platform/db/database.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { listThings } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { isAdmin } from "../admin.ts"
import { callAgent } from "../agent-call.ts"
import { serverInvalidState, serverLocked, serverNotFound, serverNotReady } from "../faults.ts"
import { targetOf, visibleServer } from "../server/read.ts"
import type { Server } from "../server/server.ts"
import { actorOf } from "../server/task.ts"
import { recordActions } from "../server-action/store.ts"
import { everything } from "../viewer.ts"
import {
  liveMigrationNotFound,
  liveMigrationWrongState,
  migrationNotFound,
  migrationNotLive,
} from "./faults.ts"
import { type Migration, migrationNoun, openLiveStatuses } from "./migration.ts"
import { findMigration } from "./store.ts"
import { cancelQueued } from "./turn.ts"

const ofServer = Type.Object({ serverId: Type.String() })
/** In Nova's numbers. */
const ofOne = Type.Object({ serverId: Type.String(), number: Type.String() })
const ofOneWaiting = Type.Object({
  ...ofOne.properties,
  /** Also one that waits for its turn, as from 2.65 on. */
  mayWait: Type.Optional(Type.Boolean()),
})

export interface LiveMigration extends Migration {
  /** Null: its memory is not on the way yet, or its host does not say. */
  progress: LiveProgress | null
}

/** The host has other things to do than to answer this. */
const askTimeoutMs = 2_000

export async function liveProgressOf(
  ctx: Ctx,
  { serverId, sourceHost }: Pick<Migration, "serverId" | "sourceHost">,
): Promise<LiveProgress | null> {
  try {
    const how = { timeoutMs: askTimeoutMs }
    return (await callAgent(ctx, sourceHost, "vm.live_progress", { serverId }, how)).progress
  } catch (error) {
    if (error instanceof Fault) return null
    throw error
  }
}

async function openOf(ctx: Ctx, server: Server): Promise<Migration[]> {
  const filters = {
    ...{ serverId: [server.id], type: ["live-migration"] },
    status: [...openLiveStatuses],
  }
  return await listThings(ctx.db, migrationNoun, everything, { filters })
}

export const listServerMigrations = operation({
  name: "compute.migration.list_of_server",
  input: ofServer,
  faults: [serverNotFound],
  load: (ctx, { serverId }) => visibleServer(ctx, serverId),
  rule: "os_compute_api:servers:migrations:index",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, _input, server): Promise<LiveMigration[]> =>
    await Promise.all(
      (await openOf(ctx, server)).map(async (each) => ({
        ...each,
        progress: await liveProgressOf(ctx, each),
      })),
    ),
})

export const showServerMigration = operation({
  name: "compute.migration.show_of_server",
  input: ofOne,
  faults: [serverNotFound, liveMigrationNotFound, migrationNotLive],
  load: (ctx, { serverId }) => visibleServer(ctx, serverId),
  rule: "os_compute_api:servers:migrations:show",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, { number }, server): Promise<LiveMigration> => {
    const found = await findMigration(ctx.db, server.id, number)
    if (found && found.type !== "live-migration") throw migrationNotLive(number, server.id)
    const open = found ? await openOf(ctx, server) : []
    const migration = open.find((each) => String(each.number) === found?.number)
    if (!migration) throw liveMigrationNotFound(number, server.id)
    return { ...migration, progress: await liveProgressOf(ctx, migration) }
  },
})

/** Of what takes a server that is being migrated. */
interface OnMigrating {
  verb: string
  rule: string
  /** In the words of refusals, and of what was done. */
  action: string
  recorded: string
  method: "vm.abort_live" | "vm.hurry_live"
  notFound: (number: string, serverId: string) => Fault
}

function onMigrating({ verb, rule, action, recorded, method, notFound }: OnMigrating) {
  return operation({
    name: `compute.migration.${verb}`,
    input: ofOneWaiting,
    faults: [
      ...[serverNotFound, serverLocked, serverInvalidState, serverNotReady],
      ...[migrationNotFound, liveMigrationWrongState],
    ],
    load: (ctx, { serverId }) => visibleServer(ctx, serverId),
    rule: `os_compute_api:servers:migrations:${rule}`,
    target: (_ctx, _input, server) => targetOf(server),
    run: async (ctx, { number, mayWait = false }, server): Promise<void> => {
      const { id, lockedBy, taskState } = server
      if (lockedBy !== null && !isAdmin(ctx)) throw serverLocked(id)
      if (taskState !== "migrating") throw serverInvalidState(id, action, "task_state", taskState ?? "None")
      const found = await findMigration(ctx.db, id, number)
      if (!found) throw notFound(number, id)
      const migration = (await openOf(ctx, server)).find((each) => String(each.number) === found.number)
      if (!migration) throw liveMigrationWrongState(number, id, found.status)
      // As the task that has the server, whatever its fence is by now.
      const fence = { generation: server.generation, fence: Number.MAX_SAFE_INTEGER }
      const isCancelled = await transact(ctx.db, async (tx) => {
        await recordActions(tx, [{ serverId: id, action: recorded, ...actorOf(ctx) }])
        return mayWait && (await cancelQueued(tx, found.number))
      })
      if (isCancelled) return await ctx.sagas.wake(ctx.db)
      try {
        await callAgent(ctx, migration.sourceHost, method, { serverId: id, fence })
      } catch (error) {
        // It is not under way yet, or not any more.
        if (error instanceof Fault && error.code === "agent.machine.live_broken")
          throw liveMigrationWrongState(number, id, found.status)
        throw error
      }
    },
  })
}

/** The guest stays where it is. */
export const abortServerMigration = onMigrating({
  ...{ verb: "abort", rule: "delete", action: "abort live migration", recorded: "live_migration_cancel" },
  ...{ method: "vm.abort_live", notFound: (number) => migrationNotFound(number) },
})
/** The guest is halted, so that it gets there. */
export const forceServerMigration = onMigrating({
  ...{ verb: "force_complete", rule: "force_complete", action: "force_complete" },
  ...{ recorded: "live_migration_force_complete", method: "vm.hurry_live" },
  notFound: (number, serverId) => liveMigrationWrongState(number, serverId, "unknown"),
})
