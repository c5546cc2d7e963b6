// What a project has limits for.
import type { SectionOf } from "../../platform/config/config.ts"
import type { Limits } from "../../quota/index.ts"
import type { computeConfig } from "../config.ts"

export const quotaResources = [
  "instances",
  "cores",
  "ram",
  "metadata_items",
  "injected_files",
  "injected_file_content_bytes",
  "injected_file_path_bytes",
  "key_pairs",
  "server_groups",
  "server_group_members",
  // The network service limits these by its own quotas; old clients may still set and read a number here.
  "fixed_ips",
  "floating_ips",
  "security_groups",
  "security_group_rules",
] as const

export type QuotaResource = (typeof quotaResources)[number]
export type QuotaLimits = Record<QuotaResource, number>

const unlimited = -1

/** Limits by configuration. */
export function configuredQuota(config: SectionOf<typeof computeConfig>): QuotaLimits {
  const c = config.quota
  return {
    instances: c.instances,
    cores: c.cores,
    ram: c.ram,
    metadata_items: c.metadataItems,
    injected_files: c.injectedFiles,
    injected_file_content_bytes: c.injectedFileContentBytes,
    injected_file_path_bytes: c.injectedFilePathLength,
    key_pairs: c.keyPairs,
    server_groups: c.serverGroups,
    server_group_members: c.serverGroupMembers,
    fixed_ips: unlimited,
    floating_ips: unlimited,
    security_groups: unlimited,
    security_group_rules: unlimited,
  }
}

export function completeLimits(limits: Limits, base: QuotaLimits): QuotaLimits {
  const complete = { ...base }
  for (const resource of quotaResources) complete[resource] = limits[resource] ?? base[resource]
  return complete
}
