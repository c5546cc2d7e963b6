// Which quotas Nova shows and takes, by microversion, and their JSON Schema.

import type { TSchema } from "typebox"
import { count, each, type Members, until } from "../../api/openstack/shape.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { atLeast, type Microversion } from "../../platform/http/microversion.ts"
import { typed } from "../../platform/schema/make.ts"
import type { QuotaLimits, QuotaResource } from "../index.ts"

const always: readonly QuotaResource[] = ["instances", "cores", "ram", "metadata_items", "key_pairs"]
const groups: readonly QuotaResource[] = ["server_groups", "server_group_members"]
const injected: readonly QuotaResource[] = [
  "injected_files",
  "injected_file_content_bytes",
  "injected_file_path_bytes",
]
const ofNetworks: readonly QuotaResource[] = [
  "fixed_ips",
  "floating_ips",
  "security_groups",
  "security_group_rules",
]

export const all = [...always, ...groups, ...injected, ...ofNetworks]
export const withoutNetworks = [...always, ...groups, ...injected]
export const modern = [...always, ...groups]

/** `networksEnd`: the first microversion of the call without the network service's resources. */
export function quotaResourcesAt(version: Microversion, networksEnd: string): readonly QuotaResource[] {
  if (atLeast(version, "2.57")) return modern
  return atLeast(version, networksEnd) ? withoutNetworks : all
}

/** What answers show: those of always, and the others until they are gone. */
export function shownLimits(networksEnd: string, of: TSchema = count): Members {
  return {
    ...each(modern.join(" "), of),
    ...each(injected.join(" "), until("2.57", of)),
    ...each(ofNetworks.join(" "), until(networksEnd, of)),
  }
}

/** Numbers may come as text. */
const range = { minimum: -1, maximum: 2_147_483_647 }
const limit = typed(["integer", "string"], { pattern: "^-?[0-9]+$", maxLength: 11, ...range })

export function limitProperties(resources: readonly QuotaResource[]): Record<QuotaResource, typeof limit> {
  // Whichever are left out may be left out of a body too.
  return Object.fromEntries(resources.map((resource) => [resource, limit])) as Record<
    QuotaResource,
    typeof limit
  >
}

export function pick(values: QuotaLimits, resources: readonly QuotaResource[]): Partial<QuotaLimits> {
  return Object.fromEntries(resources.map((resource) => [resource, values[resource]]))
}

/** The numbers of a body that the schema above has let through. */
export function readLimits(body: Partial<Record<QuotaResource, number | string>>): Partial<QuotaLimits> {
  const limits: Partial<QuotaLimits> = {}
  for (const resource of all) {
    if (body[resource] === undefined) continue
    const value = Number(body[resource])
    if (value < range.minimum || value > range.maximum)
      throw invalid(
        resource,
        `Invalid input for field/attribute ${resource}. Value: ${value}. ` +
          `It must be from ${range.minimum} to ${range.maximum}.`,
      )
    limits[resource] = value
  }
  return limits
}
