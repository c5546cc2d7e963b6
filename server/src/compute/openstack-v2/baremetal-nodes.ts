// Nova's way to the nodes of a bare metal service, until 2.35. There is none here: lists and single nodes say so, and
// what changes nodes is refused as Nova always did, with the other client's command.
import { type HttpMethod, type Route, route } from "../../platform/http/wire.ts"
import { badRequest, listBaremetalNodes, showBaremetalNode } from "../index.ts"
import { actionNamed } from "./server-action.ts"

const max = "2.35"

const useIronic = (command: string) =>
  badRequest(`Command not supported. Please use Ironic command ${command} to perform this action.`)

const refused = (method: HttpMethod, path: string, command: string): Route =>
  route({
    ...{ method, path, max },
    policy: "authenticated",
    handler: async () => {
      throw useIronic(command)
    },
  })

const commands: Readonly<Record<string, string>> = {
  add_interface: "port-create",
  remove_interface: "port-delete",
}

export const baremetalNodeRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/os-baremetal-nodes",
    max,
    operation: listBaremetalNodes,
    handler: (ctx) => listBaremetalNodes(ctx, {}),
  }),
  route({
    method: "GET",
    path: "/os-baremetal-nodes/{node_id}",
    max,
    operation: showBaremetalNode,
    handler: (ctx) => showBaremetalNode(ctx, {}),
  }),
  refused("POST", "/os-baremetal-nodes", "node-create"),
  refused("DELETE", "/os-baremetal-nodes/{node_id}", "node-delete"),
  route({
    method: "POST",
    path: "/os-baremetal-nodes/{node_id}/action",
    max,
    policy: "authenticated",
    actions: Object.keys(commands),
    handler: async (_ctx, { body }) => {
      const name = actionNamed(body, (each) => Object.hasOwn(commands, each))
      throw useIronic(commands[name] ?? "")
    },
  }),
]
