// What a project has limits for.
import { sql } from "kysely"
import { countOf, declareQuota, type Limits, resourcesOf, sumOf } from "../../quota/index.ts"

/** Every server that is not deleted, if only for a while, as Nova counts; one that is restored counts at once. */
const servers = {
  table: sql`compute.server`,
  where: sql`deleted_at is null and (vm_state <> 'soft-delete' or coalesce(task_state, '') = 'restoring')`,
  userColumn: "user_id",
}
const serverGroups = { table: sql`compute.server_group`, userColumn: "user_id" }
const membersOfGroup = { table: servers.table, where: sql`deleted_at is null`, within: "server_group_id" }
const keyPairsOfUser = { table: sql`compute.keypair`, within: "user_id" }
const unlimited = () => -1

export const computeQuota = declareQuota({
  service: "compute",
  resources: {
    instances: { default: ({ compute }) => compute.quota.instances, use: countOf(servers) },
    // While a server may get a larger size or go back to one, that one counts.
    cores: {
      default: ({ compute }) => compute.quota.cores,
      use: sumOf(servers, sql`greatest(vcpus, resize_vcpus)`),
    },
    ram: {
      default: ({ compute }) => compute.quota.ram,
      use: sumOf(servers, sql`greatest(ram_mib, resize_ram_mib)`),
    },
    metadata_items: { default: ({ compute }) => compute.quota.metadataItems },
    injected_files: { default: ({ compute }) => compute.quota.injectedFiles },
    injected_file_content_bytes: { default: ({ compute }) => compute.quota.injectedFileContentBytes },
    injected_file_path_bytes: { default: ({ compute }) => compute.quota.injectedFilePathLength },
    // The limit is a project's, the count is the user's: Nova's own rule.
    key_pairs: { default: ({ compute }) => compute.quota.keyPairs, use: countOf(keyPairsOfUser) },
    server_groups: { default: ({ compute }) => compute.quota.serverGroups, use: countOf(serverGroups) },
    server_group_members: {
      default: ({ compute }) => compute.quota.serverGroupMembers,
      use: countOf(membersOfGroup),
    },
    // The network service limits these by its own quotas; old clients may still set and read a number here.
    fixed_ips: { default: unlimited },
    floating_ips: { default: unlimited },
    security_groups: { default: unlimited },
    security_group_rules: { default: unlimited },
  },
})

export const quotaResources = resourcesOf(computeQuota)
export type QuotaResource = (typeof quotaResources)[number]
export type QuotaLimits = Limits<QuotaResource>
