// A password for the guest that runs, by its agent. While the request waits: the password stands in no table and in no
// saga's parameters, and who asks hears whether the guest took it.
import { Type } from "typebox"
import { transact } from "../../platform/db/database.ts"
import { describeError, Fault } from "../../platform/fault/fault.ts"
import { operation } from "../../platform/operation/operation.ts"
import { callAgent } from "../agent-call.ts"
import {
  passwordUnsupported,
  serverInvalidState,
  serverLocked,
  serverNotFound,
  serverNotLaunched,
  serverNotReady,
} from "../faults.ts"
import { endAction, recordActions } from "../server-action/store.ts"
import { AdminPassword } from "./admin-password.ts"
import { targetOf, visibleServer } from "./read.ts"
import { actorOf, checkState } from "./task.ts"

const part = "compute_set_admin_password"

export const changeServerPassword = operation({
  name: "compute.server.change_password",
  input: Type.Object({ serverId: Type.String(), password: AdminPassword }),
  faults: [
    passwordUnsupported,
    serverNotFound,
    serverLocked,
    serverInvalidState,
    serverNotLaunched,
    serverNotReady,
  ],
  load: (ctx, { serverId }) => visibleServer(ctx, serverId),
  rule: "os_compute_api:os-admin-password",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, { password }, server) => {
    checkState(ctx, server, "changePassword")
    const { id: serverId, host } = server
    if (host === null) throw serverNotReady(serverId)
    const { requestId, ...by } = actorOf(ctx)
    await transact(ctx.db, (tx) =>
      recordActions(tx, [{ serverId, action: "changePassword", requestId, ...by }]),
    )
    const end = (error: string | null) =>
      transact(ctx.db, (tx) => endAction(tx, { serverId, requestId, event: part, host, error }))
    try {
      await callAgent(ctx, host, "vm.set_password", { serverId, password })
    } catch (error) {
      await end(error instanceof Fault && error.kind !== "bug" ? describeError(error) : "The host failed.")
      const isMissing = error instanceof Fault && error.code === "agent.host.ability_missing"
      throw isMissing ? Object.assign(passwordUnsupported(), { cause: error }) : error
    }
    await end(null)
  },
})
