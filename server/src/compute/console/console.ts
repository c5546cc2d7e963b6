// Ways to a server's screen and serial line, as the API gives them out.
import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import {
  consoleTokenNotFound,
  consoleTypeInvalid,
  consoleTypeUnavailable,
  serverNotFound,
  serverNotReady,
} from "../faults.ts"
import { targetOf, visibleServer } from "../server/read.ts"
import { powerStates, type Server } from "../server/server.ts"
import { findConsolePlace, issueConsoleToken } from "./token.ts"
import { consoleKindOf, consolePaths } from "./type.ts"

export const createRemoteConsole = operation({
  name: "compute.console.create",
  input: Type.Object({ serverId: Type.String(), protocol: Type.String(), type: Type.String() }),
  faults: [serverNotFound, serverNotReady, consoleTypeInvalid, consoleTypeUnavailable],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:os-remote-consoles",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, { protocol, type }, server): Promise<{ url: string }> => {
    const { host } = server
    if (!host) throw serverNotReady(server.id)
    const kind = consoleKindOf(protocol, type)
    // Without power there is nothing to look at, and the address would be over before there is.
    if (!hasPower(server)) throw serverNotReady(server.id)
    const token = await issueConsoleToken(ctx, { serverId: server.id, host, kind })
    const url = `${ctx.baseUrl}${consolePaths[kind]}?token=${token}`
    // Clients of serial consoles connect to the address as it is; in a browser http:// shows the page.
    return { url: kind === "serial" ? url.replace(/^http/, "ws") : url }
  },
})

export const showConsoleToken = operation({
  name: "compute.console.show_token",
  input: Type.Object({ token: Type.String() }),
  faults: [consoleTokenNotFound],
  rule: "os_compute_api:os-console-auth-tokens",
  run: async (ctx, { token }) => {
    const place = await findConsolePlace(ctx, token)
    if (!place) throw consoleTokenNotFound()
    return place
  },
})

function hasPower({ powerState, vmState }: Server): boolean {
  const isOn = powerState === powerStates.running || powerState === powerStates.paused
  return isOn && vmState !== "building"
}
