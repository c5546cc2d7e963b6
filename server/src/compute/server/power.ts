// Start, stop, reboot, pause, suspend: the state is claimed in the request, the host does it afterwards.
import { Type } from "typebox"
import type { Saga } from "../../engine/saga/saga.ts"
import { type Operation, operation } from "../../platform/operation/operation.ts"
import {
  serverInvalidState,
  serverLocked,
  serverNotFound,
  serverNotLaunched,
  serverNotReady,
} from "../faults.ts"
import {
  hardRebootServerSaga,
  pauseServerSaga,
  rebootServerSaga,
  resumeServerSaga,
  startServerSaga,
  stopServerSaga,
  suspendServerSaga,
  unpauseServerSaga,
} from "./power.saga.ts"
import { targetOf, visibleServer } from "./read.ts"
import type { Server } from "./server.ts"
import type { ActionName } from "./state.ts"
import { beginTask, type TaskParams } from "./task.ts"

interface PowerVerb {
  verb: string
  rule: string
  action: ActionName
  event: string
  saga: Saga<TaskParams>
}

function powerOperation(verb: PowerVerb): Operation<{ serverId: string }, Server> {
  return operation({
    name: `compute.server.${verb.verb}`,
    input: Type.Object({ serverId: Type.String() }),
    faults: [serverNotFound, serverLocked, serverInvalidState, serverNotLaunched, serverNotReady],
    load: (ctx, input) => visibleServer(ctx, input.serverId),
    rule: verb.rule,
    target: (_ctx, _input, server) => targetOf(server),
    run: (ctx, _input, server) =>
      beginTask(ctx, {
        serverId: server.id,
        action: verb.action,
        event: verb.event,
        saga: verb.saga,
        more: () => ({}),
      }),
  })
}

export const startServer = powerOperation({
  verb: "start",
  rule: "os_compute_api:servers:start",
  action: "start",
  event: "power_on",
  saga: startServerSaga,
})

export const stopServer = powerOperation({
  verb: "stop",
  rule: "os_compute_api:servers:stop",
  action: "stop",
  event: "power_off",
  saga: stopServerSaga,
})

/** Asks the guest to start again. */
export const rebootServer = powerOperation({
  verb: "reboot",
  rule: "os_compute_api:servers:reboot",
  action: "rebootSoft",
  event: "reboot",
  saga: rebootServerSaga,
})

/** Switches the machine off and on, as its row says it must be; also the way out of an error. */
export const hardRebootServer = powerOperation({
  verb: "hard_reboot",
  rule: "os_compute_api:servers:reboot",
  action: "rebootHard",
  event: "reboot",
  saga: hardRebootServerSaga,
})

export const pauseServer = powerOperation({
  verb: "pause",
  rule: "os_compute_api:os-pause-server:pause",
  action: "pause",
  event: "pause",
  saga: pauseServerSaga,
})

export const unpauseServer = powerOperation({
  verb: "unpause",
  rule: "os_compute_api:os-pause-server:unpause",
  action: "unpause",
  event: "unpause",
  saga: unpauseServerSaga,
})

/** Keeps the guest's memory on the host's disk; the machine itself ends. */
export const suspendServer = powerOperation({
  verb: "suspend",
  rule: "os_compute_api:os-suspend-server:suspend",
  action: "suspend",
  event: "suspend",
  saga: suspendServerSaga,
})

export const resumeServer = powerOperation({
  verb: "resume",
  rule: "os_compute_api:os-suspend-server:resume",
  action: "resume",
  event: "resume",
  saga: resumeServerSaga,
})
