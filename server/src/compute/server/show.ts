import { Type } from "typebox"
import { type ServerNetworking, serverAddresses } from "../../network/index.ts"
import { operation } from "../../platform/operation/operation.ts"
import { serverNotFound } from "../faults.ts"
import { targetOf, visibleServer } from "./find.ts"
import type { Server } from "./server.ts"

export interface ServerWithNetworking {
  server: Server
  networking: ServerNetworking
}

export const noNetworking: ServerNetworking = { addresses: [], securityGroups: [] }

/** One server with its addresses. Each way to read it has its own rule. */
function reading(verb: string, rule: string) {
  return operation({
    name: `compute.server.${verb}`,
    input: Type.Object({ serverId: Type.String() }),
    faults: [serverNotFound],
    load: (ctx, input) => visibleServer(ctx, input.serverId),
    rule: `os_compute_api:${rule}`,
    target: (_ctx, _input, server) => targetOf(server),
    run: async (ctx, _input, server): Promise<ServerWithNetworking> => {
      const networking = await serverAddresses(ctx.db, [server.id])
      return { server, networking: networking.get(server.id) ?? noNetworking }
    },
  })
}

export const showServer = reading("show", "servers:show")
/** For the answer to a change, by its rule. */
export const showUpdatedServer = reading("show_updated", "servers:update")
export const showRebuiltServer = reading("show_rebuilt", "servers:rebuild")
export const listServerMetadata = reading("list_metadata", "server-metadata:index")
export const showServerMetadataItem = reading("show_metadata_item", "server-metadata:show")
export const listServerTags = reading("list_tags", "os-server-tags:index")
export const checkServerTag = reading("check_tag", "os-server-tags:show")
export const listServerAddresses = reading("list_addresses", "ips:index")
export const listServerAddressesOfNetwork = reading("list_addresses_of_network", "ips:show")
