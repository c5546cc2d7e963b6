// The rules of availability zones: an aggregate with a zone in its metadata gives it to its hosts. Pure.
const zoneKey = "availability_zone"

export function withZone(zone: string): Record<string, string> {
  return { [zoneKey]: zone }
}

/** null takes a key away; a key that is not named stays. */
export type MetadataChanges = Readonly<Record<string, string | null>>

export function changedMetadata(
  before: Readonly<Record<string, string>>,
  changes: MetadataChanges,
): Record<string, string> {
  const after: Record<string, string> = { ...before }
  for (const [key, value] of Object.entries(changes)) {
    if (value === null) delete after[key]
    else after[key] = value
  }
  return after
}

/** What decides whether a zone may change. */
export interface ZoneFacts {
  /** Zones that the hosts in question have by other aggregates. */
  otherZones: readonly string[]
  /** Servers on the hosts in question. */
  servers: number
}

/**
 * Why the aggregate may not have these metadata, or null when it may. A host has one zone, and its servers keep theirs.
 */
export function zoneChangeRefusal(
  aggregate: { name: string; zone: string | null },
  changes: MetadataChanges,
  facts: ZoneFacts,
): string | null {
  if (!(zoneKey in changes)) return null
  const zone = changes[zoneKey]
  if (!zone) return `Aggregate ${aggregate.name} does not support empty named availability zone`
  const conflicting = facts.otherZones.filter((other) => other !== zone)
  if (conflicting.length > 0)
    return `One or more hosts already in availability zone(s) ${conflicting.join(", ")}`
  if (zone !== aggregate.zone && facts.servers > 0) return "One or more hosts contain instances in this zone"
  return null
}

/** The same for a host that joins or leaves the aggregate. */
export function hostChangeRefusal(
  { zone }: { zone: string | null },
  change: "add" | "remove",
  facts: ZoneFacts,
): string | null {
  if (zone === null) return null
  const conflicting = facts.otherZones.filter((other) => other !== zone)
  if (conflicting.length > 0 && change === "add")
    return `One or more hosts already in availability zone(s) ${conflicting.join(", ")}`
  if (facts.servers === 0 || facts.otherZones.includes(zone)) return null
  return (
    `The availability zone of the host would change ${change === "add" ? "to" : "from"} '${zone}' ` +
    `but the host already has ${facts.servers} instance(s). Move them away from this host, then try again`
  )
}
