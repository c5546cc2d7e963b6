import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import {
  serverInvalidState,
  serverLocked,
  serverNotFound,
  serverNotLaunched,
  serverNotReady,
} from "../faults.ts"
import { crashDumpSaga } from "./crash-dump.saga.ts"
import { targetOf, visibleServer } from "./read.ts"
import { beginTask } from "./task.ts"

/** Sends the guest an interrupt that it cannot mask: what a kernel does then, it is configured for. */
export const triggerCrashDump = operation({
  name: "compute.server.trigger_crash_dump",
  input: Type.Object({ serverId: Type.String() }),
  faults: [serverNotFound, serverLocked, serverInvalidState, serverNotLaunched, serverNotReady],
  load: (ctx, { serverId }) => visibleServer(ctx, serverId),
  rule: "os_compute_api:servers:trigger_crash_dump",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, _input, server) => {
    await beginTask(ctx, {
      serverId: server.id,
      action: "triggerCrashDump",
      event: "trigger_crash_dump",
      saga: crashDumpSaga,
      more: (_tx, { host }) => {
        if (host === null) throw serverNotReady(server.id)
        return { host }
      },
    })
  },
})
