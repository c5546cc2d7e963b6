// Ways to a server's screen: an action for each kind of console up to 2.5, one resource from 2.6 on.

import { versions } from "../../platform/http/versions.ts"
import { type Route, route } from "../../platform/http/wire.ts"
import { word } from "../../platform/schema/make.ts"
import { getRemoteConsole } from "../index.ts"
import { bodyOf } from "./schema-parts.ts"
import { action } from "./server-action.ts"

const oldTypes: Readonly<Record<string, readonly string[]>> = {
  "os-getVNCConsole": ["novnc", "xvpvnc"],
  "os-getSPICEConsole": ["spice-html5"],
  "os-getRDPConsole": ["rdp-html5"],
  "os-getSerialConsole": ["serial"],
}

export const consoleActions = Object.fromEntries(
  Object.entries(oldTypes).map(([key, types]) => [
    key,
    action({
      operation: getRemoteConsole,
      max: "2.5",
      schema: bodyOf(key, { type: word(types) }, ["type"]),
      run: (ctx, { serverId, body }) => getRemoteConsole(ctx, { serverId, type: body[key]?.type ?? "" }),
    }),
  ]),
)

const consoleOf = (protocols: readonly string[], types: readonly string[]) =>
  bodyOf("remote_console", { protocol: word(protocols), type: word(types) }, ["protocol", "type"])

const protocols = ["vnc", "spice", "rdp", "serial"]
const types = Object.values(oldTypes).flat()

export const remoteConsoleRoutes: readonly Route[] = [
  route({
    method: "POST",
    path: "/servers/{server_id}/remote-consoles",
    min: "2.6",
    operation: getRemoteConsole,
    body: versions({
      "2.6": consoleOf(protocols, types),
      "2.8": consoleOf([...protocols, "mks"], [...types, "webmks"]),
    }),
    handler: (ctx, req) =>
      getRemoteConsole(ctx, {
        serverId: req.params.server_id ?? "",
        type: req.body.remote_console.type,
      }),
  }),
]
