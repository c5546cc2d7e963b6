// What the host knows of a machine: its console and its figures.
import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import { callAgent } from "../agent-call.ts"
import { serverInvalidState, serverNotFound, serverNotReady } from "../faults.ts"
import { targetOf, visibleServer } from "./read.ts"

export const getConsoleOutput = operation({
  name: "compute.server.get_console_output",
  input: Type.Object({
    serverId: Type.String(),
    /** null: all that is kept. */
    lines: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()]),
  }),
  faults: [serverNotFound, serverNotReady],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:os-console-output",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, input, server) => {
    if (!server.host || server.vmState === "building") throw serverNotReady(server.id)
    const { output } = await callAgent(ctx, server.host, "vm.console_log", {
      serverId: server.id,
      lines: input.lines,
    })
    return output
  },
})

export const getDiagnostics = operation({
  name: "compute.server.get_diagnostics",
  input: Type.Object({ serverId: Type.String() }),
  faults: [serverNotFound, serverNotReady, serverInvalidState],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:os-server-diagnostics",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, _input, server) => {
    if (!server.host) throw serverNotReady(server.id)
    return await callAgent(ctx, server.host, "vm.diagnostics", { serverId: server.id })
  },
})
