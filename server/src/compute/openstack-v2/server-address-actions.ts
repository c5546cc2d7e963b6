// Actions on a server's addresses, which this API took away after 2.43.
import { typed } from "../../platform/schema/make.ts"
import {
  addServerFixedIp,
  addServerFloatingIp,
  removeServerFixedIp,
  removeServerFloatingIp,
} from "../index.ts"
import { bodyOf, ipAddress } from "./schema-parts.ts"
import { action } from "./server-action.ts"

const max = "2.43"

export const addressActions = {
  addFixedIp: action({
    operation: addServerFixedIp,
    max,
    schema: bodyOf("addFixedIp", { networkId: typed(["string", "number"]) }, ["networkId"]),
    run: (ctx, { serverId, body }) =>
      addServerFixedIp(ctx, { serverId, networkId: String(body.addFixedIp.networkId) }),
  }),
  addFloatingIp: action({
    operation: addServerFloatingIp,
    max,
    schema: bodyOf("addFloatingIp", { address: ipAddress, fixed_address: ipAddress }, ["address"]),
    run: (ctx, { serverId, body: { addFloatingIp: asked } }) =>
      addServerFloatingIp(ctx, {
        serverId,
        address: asked.address,
        fixedAddress: asked.fixed_address ?? null,
      }),
  }),
  removeFloatingIp: action({
    operation: removeServerFloatingIp,
    max,
    schema: bodyOf("removeFloatingIp", { address: ipAddress }, ["address"]),
    run: (ctx, { serverId, body }) =>
      removeServerFloatingIp(ctx, { serverId, address: body.removeFloatingIp.address }),
  }),
  removeFixedIp: action({
    operation: removeServerFixedIp,
    max,
    schema: bodyOf("removeFixedIp", { address: ipAddress }, ["address"]),
    run: (ctx, { serverId, body }) =>
      removeServerFixedIp(ctx, { serverId, address: body.removeFixedIp.address }),
  }),
}
