// What Nova once had and has given up: its paths are known still, and whoever is logged in is told that the thing is
// gone, at every microversion and whatever the body says. A table and no operations: nothing is behind them.
import { type HttpMethod, type Route, route } from "../../platform/http/wire.ts"
import { apiRemoved } from "../index.ts"
import { actionNamed } from "./server-action.ts"

type Removed = readonly [path: string, ...methods: HttpMethod[]]

const removed: readonly Removed[] = [
  // Of the Xen driver.
  ["/os-agents", "GET", "POST"],
  ["/os-agents/{agent_id}", "PUT", "DELETE"],
  ["/servers/{server_id}/consoles", "GET", "POST"],
  ["/servers/{server_id}/consoles/{console_id}", "GET", "DELETE"],
  // Of cells, version 1.
  ["/os-cells", "GET", "POST"],
  ["/os-cells/capacities", "GET"],
  ["/os-cells/detail", "GET"],
  ["/os-cells/info", "GET"],
  ["/os-cells/sync_instances", "POST"],
  ["/os-cells/{cell_name}", "GET", "PUT", "DELETE"],
  ["/os-cells/{cell_name}/capacities", "GET"],
  // Of Nova's certificate authority.
  ["/os-certificates", "POST"],
  ["/os-certificates/{certificate_id}", "GET"],
  // Of nova-network.
  ["/os-cloudpipe", "GET", "POST"],
  ["/os-cloudpipe/{cloudpipe_id}", "PUT"],
  ["/os-fixed-ips/{fixed_ip}", "GET"],
  ["/os-floating-ip-dns", "GET"],
  ["/os-floating-ip-dns/{domain}", "PUT", "DELETE"],
  ["/os-floating-ip-dns/{domain}/entries/{entry}", "GET", "PUT", "DELETE"],
  ["/os-floating-ips-bulk", "GET", "POST"],
  ["/os-floating-ips-bulk/{host_name}", "GET", "PUT"],
  ["/os-fping", "GET"],
  ["/os-fping/{server_id}", "GET"],
  ["/os-networks", "POST"],
  ["/os-networks/add", "POST"],
  ["/os-networks/{network_id}", "DELETE"],
  ["/os-security-group-default-rules", "GET", "POST"],
  ["/os-security-group-default-rules/{rule_id}", "GET", "DELETE"],
  ["/os-tenant-networks", "POST"],
  ["/os-tenant-networks/{network_id}", "DELETE"],
  ["/servers/{server_id}/os-virtual-interfaces", "GET"],
]

const removedActions: Readonly<Record<string, readonly string[]>> = {
  "/os-fixed-ips/{fixed_ip}/action": ["reserve", "unreserve"],
  "/os-networks/{network_id}/action": [
    "associate_host",
    "disassociate",
    "disassociate_host",
    "disassociate_project",
  ],
}

export const removedRoutes: readonly Route[] = [
  ...removed.flatMap(([path, ...methods]) =>
    methods.map((method) =>
      route({
        method,
        path,
        status: 410,
        policy: "authenticated",
        handler: async () => {
          throw apiRemoved()
        },
      }),
    ),
  ),
  ...Object.entries(removedActions).map(([path, actions]) =>
    route({
      method: "POST",
      path,
      status: 410,
      policy: "authenticated",
      actions,
      handler: async (_ctx, { body }) => {
        actionNamed(body, (name) => actions.includes(name))
        throw apiRemoved()
      },
    }),
  ),
]
