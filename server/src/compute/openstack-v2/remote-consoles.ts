// Ways to a server's screen: an action for each kind of console up to 2.5, one resource from 2.6 on; and what an
// operator's proxy may ask about a token.
import { Type } from "typebox"
import { nothing, text, textOrNull } from "../../api/openstack/shape.ts"
import { versions } from "../../platform/http/versions.ts"
import { type Route, reply, route } from "../../platform/http/wire.ts"
import { word } from "../../platform/schema/make.ts"
import { badRequest, createRemoteConsole, showConsoleToken } from "../index.ts"
import { bodyOf } from "./schema-parts.ts"
import { action } from "./server-action.ts"

/** Those that Nova has given up are words of it still, and answered as such. */
const oldActions: readonly (readonly [key: string, protocol: string, types: readonly string[]])[] = [
  ["os-getVNCConsole", "vnc", ["novnc", "xvpvnc"]],
  ["os-getSPICEConsole", "spice", ["spice-html5"]],
  ["os-getRDPConsole", "rdp", ["rdp-html5"]],
  ["os-getSerialConsole", "serial", ["serial"]],
]

export const consoleActions = Object.fromEntries(
  oldActions.map(([key, protocol, types]) => [
    key,
    action({
      operation: createRemoteConsole,
      max: "2.5",
      schema: bodyOf(key, { type: word(types) }, ["type"]),
      told: Type.Object({ console: Type.Object({ type: text, url: text }) }),
      run: async (ctx, { serverId, body }) => {
        const type = body[key]?.type ?? ""
        const { url } = await createRemoteConsole(ctx, { serverId, protocol, type })
        return reply(200, { console: { type, url } })
      },
    }),
  ]),
)

const consoleOf = (protocols: readonly string[], types: readonly string[]) =>
  bodyOf("remote_console", { protocol: word(protocols), type: word(types) }, ["protocol", "type"])

const protocols = oldActions.map(([, protocol]) => protocol)
const types = oldActions.flatMap(([, , names]) => names)

const tokenShown = Type.Object({
  instance_uuid: text,
  host: textOrNull,
  port: nothing,
  internal_access_path: nothing,
})

export const remoteConsoleRoutes: readonly Route[] = [
  route({
    method: "POST",
    path: "/servers/{server_id}/remote-consoles",
    min: "2.6",
    operation: createRemoteConsole,
    told: { answer: Type.Object({ remote_console: Type.Object({ protocol: text, type: text, url: text }) }) },
    body: versions({
      "2.6": consoleOf(protocols, types),
      "2.8": consoleOf([...protocols, "mks"], [...types, "webmks"]),
    }),
    handler: async (ctx, req) => {
      const { protocol, type } = req.body.remote_console
      const serverId = req.params.server_id ?? ""
      const { url } = await createRemoteConsole(ctx, { serverId, protocol, type })
      return { remote_console: { protocol, type, url } }
    },
  }),
  route({
    method: "GET",
    path: "/os-console-auth-tokens/{console_token}",
    max: "2.30",
    operation: showConsoleToken,
    told: { answer: Type.Object({ console: tokenShown }) },
    handler: async (ctx, req) => {
      await showConsoleToken.admit(ctx, { token: req.params.console_token ?? "" })
      throw badRequest(
        "Until 2.31 this is about consoles of the type rdp-html5 alone, which there are none of.",
      )
    },
  }),
  route({
    method: "GET",
    path: "/os-console-auth-tokens/{console_token}",
    min: "2.31",
    operation: showConsoleToken,
    told: { answer: Type.Object({ console: tokenShown }) },
    handler: async (ctx, req) => {
      const { serverId, host } = await showConsoleToken(ctx, { token: req.params.console_token ?? "" })
      // The machine has no port: its host connects to the cloud, and not the other way.
      return { console: { instance_uuid: serverId, host, port: null, internal_access_path: null } }
    },
  }),
]
