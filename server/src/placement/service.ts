import type { Service } from "../engine/service.ts"
import { placementApi } from "./openstack-v1/index.ts"
import { policies } from "./policy.ts"
import type {} from "./tables.ts"

/** Keeps the account of what hosts have and who holds it; nothing of it runs beside requests. */
export const placementService: Service = {
  name: "placement",
  apis: [placementApi],
  catalog: { type: "placement", name: "placement", path: "/placement" },
  classicPorts: [{ port: 8778, mount: "/placement" }],
  policies,
  sagas: [],
  reconcilers: [],
}
