// Who does the work of routers: the network driver, and nobody else.
import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"

export const listServiceProviders = operation({
  name: "network.service_provider.list",
  input: Type.Object({}),
  rule: "get_service_provider",
  run: async () => [{ serviceType: "L3_ROUTER_NAT", name: "ovn", isDefault: true }],
})
