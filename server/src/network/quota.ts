// Limits of the network service under Neutron's resource names: rows, each owned by its `project_id`.
import { sql } from "kysely"
import { countOf, declareQuota, resourcesOf } from "../quota/index.ts"

export const networkQuota = declareQuota({
  service: "network",
  resources: {
    network: {
      default: ({ network }) => network.quotaNetworks,
      use: countOf({ table: sql`network.network` }),
    },
    subnet: { default: ({ network }) => network.quotaSubnets, use: countOf({ table: sql`network.subnet` }) },
    subnetpool: {
      default: ({ network }) => network.quotaSubnetPools,
      use: countOf({ table: sql`network.subnet_pool` }),
    },
    port: { default: ({ network }) => network.quotaPorts, use: countOf({ table: sql`network.port` }) },
    router: { default: ({ network }) => network.quotaRouters, use: countOf({ table: sql`network.router` }) },
    floatingip: {
      default: ({ network }) => network.quotaFloatingIps,
      use: countOf({ table: sql`network.floating_ip` }),
    },
    port_forwarding: {
      default: ({ network }) => network.quotaPortForwardings,
      use: countOf({ table: sql`network.port_forwarding` }),
    },
    security_group: {
      default: ({ network }) => network.quotaSecurityGroups,
      use: countOf({ table: sql`network.security_group` }),
    },
    security_group_rule: {
      default: ({ network }) => network.quotaSecurityGroupRules,
      use: countOf({ table: sql`network.security_group_rule` }),
    },
    rbac_policy: {
      default: ({ network }) => network.quotaRbacPolicies,
      use: countOf({ table: sql`network.rbac_policy` }),
    },
  },
})

export const quotaResources = resourcesOf(networkQuota)
export type QuotaResource = (typeof quotaResources)[number]
