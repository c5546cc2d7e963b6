// Away from a host that is down, to another one: Nova's evacuate.
import { Type } from "typebox"
import { volumeElsewhere, volumeInvalid } from "../../block-storage/index.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { operation } from "../../platform/operation/operation.ts"
import {
  badRequest,
  evacuationHostNotFound,
  serverInvalidState,
  serverNotFound,
  serverNotLaunched,
  serverNotReady,
  serverTpmRefused,
} from "../faults.ts"
import { isHostReachable } from "../host/reachable.ts"
import { selectHost } from "../host/store.ts"
import { insertMigration } from "../migration/store.ts"
import { AdminPassword, keepAdminPassword } from "./admin-password.ts"
import { hostsOfAll, isReached, reachOfVolumes } from "./block-device.ts"
import { checkLostVolumes, hasSettledVolumes } from "./bring-volumes.ts"
import { evacuateServerSaga } from "./evacuate.saga.ts"
import { notifyServer } from "./notification.ts"
import { targetOf, visibleServer } from "./read.ts"
import { isVolumeBacked, powerStates, type Server } from "./server.ts"
import { actorOf, beginTask, checkState } from "./task.ts"

export const evacuateServer = operation({
  name: "compute.server.evacuate",
  input: Type.Object({
    serverId: Type.String(),
    /** Null: any. */
    host: Type.Union([Type.String(), Type.Null()]),
    /** The host is taken without asking the scheduler's filters. */
    isForced: Type.Optional(Type.Boolean()),
    /** Its disks are said to be where the other host finds them; undefined: nobody says so. */
    isOnSharedStorage: Type.Optional(Type.Boolean()),
    adminPassword: Type.Optional(AdminPassword),
    /** It is off there, whatever it was. */
    endsStopped: Type.Optional(Type.Boolean()),
  }),
  faults: [
    serverTpmRefused,
    badRequest,
    evacuationHostNotFound,
    volumeElsewhere,
    volumeInvalid,
    serverNotFound,
    serverInvalidState,
    serverNotLaunched,
    serverNotReady,
  ],
  load: (ctx, { serverId }) => visibleServer(ctx, serverId),
  rule: "os_compute_api:os-evacuate",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, input, server) => {
    const { host, isForced = false, adminPassword, endsStopped = false } = input
    if (host !== null && !(await selectHost(ctx.db, host))) throw evacuationHostNotFound(host)
    if (host !== null && host === server.host) throw badRequest("The target host can't be the same one.")
    checkState(ctx, server, "evacuate")
    const from = hostOf(server)
    if (await isHostReachable(ctx, from)) throw badRequest(`Compute service of ${from} is still in use.`)
    if (input.isOnSharedStorage && !isVolumeBacked(server))
      throw badRequest(`Invalid state of instance files on shared storage: they lie on ${from}.`)
    await checkReach(ctx, server, { from, to: host })
    await beginTask(ctx, {
      ...{ serverId: server.id, action: "evacuate", event: "rebuild", saga: evacuateServerSaga },
      more: async (tx, claimed) => {
        if (!(await hasSettledVolumes(tx, claimed))) throw serverNotReady(claimed.id)
        await checkLostVolumes(tx, claimed, hostOf(claimed))
        await notifyServer(ctx, tx, claimed, "evacuate", actorOf(ctx))
        await keepAdminPassword(ctx, tx, [claimed.id], adminPassword)
        await insertMigration(tx, {
          ...{ serverId: claimed.id, projectId: claimed.projectId, userId: ctx.caller.userId },
          ...{ generation: claimed.generation, type: "evacuation" },
          ...{ sourceHost: hostOf(claimed), destHost: host },
          ...{ oldFlavorId: claimed.flavor.flavorId, newFlavorId: claimed.flavor.flavorId },
        })
        return { requestedHost: host, isForced, isStopped: endsStopped || wasOff(claimed) }
      },
    })
  },
})

/** Also of one in error, which a try before this one may have made of it. */
function wasOff({ vmState, powerState }: Server): boolean {
  return vmState === "stopped" || (vmState === "error" && powerState === powerStates.shutdown)
}

/** The one that it is on. */
function hostOf({ id, host }: Server): string {
  if (host === null) throw serverNotReady(id)
  return host
}

/** What lies on the host that is down is nowhere else. */
async function checkReach(
  ctx: Ctx,
  server: Server,
  { from, to }: { from: string; to: string | null },
): Promise<void> {
  const reaches = await reachOfVolumes(ctx, ctx.db, server, from)
  // Its host would have to be told that the machine before has it no more.
  const away = reaches.find(({ host }) => host !== from)
  if (away)
    throw badRequest(
      `A volume of server ${server.id} lies on ${away.host} and is reached over the network: take it away from the ` +
        "server first.",
    )
  if (reaches.length > 0 && !hostsOfAll(reaches).some((name) => name !== from))
    throw badRequest(
      `A volume of server ${server.id} lies where no other host reaches it while ${from} is down: the server stays on ` +
        `${from} until that is back, or until the volume is taken away from it.`,
    )
  if (to !== null && !reaches.every((reach) => isReached(reach, to)))
    throw badRequest(`A volume of server ${server.id} cannot be reached from ${to}.`)
}
