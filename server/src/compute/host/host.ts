// A host that runs machines: Nova's compute service and its hypervisor in one. Pure facts.
import type { HostDescription } from "../../agent/protocol.ts"

export interface Host {
  name: string
  /** Of the hypervisor and of its resource provider. */
  id: string
  serviceId: string
  number: number
  description: HostDescription
  lastSeenAt: Date
  isDisabled: boolean
  disabledReason: string | null
  isForcedDown: boolean
  createdAt: Date
  updatedAt: Date
}

/** Whether the host may be expected to answer. */
export function isHostUp(
  host: Pick<Host, "lastSeenAt" | "isForcedDown">,
  now: Date,
  downAfterMs: number,
): boolean {
  return !host.isForcedDown && now.getTime() - host.lastSeenAt.getTime() <= downAfterMs
}

/** Nova's `host_status` of a server. */
export function hostStatusOf(host: Host | undefined, now: Date, downAfterMs: number): string {
  if (!host) return ""
  if (host.isForcedDown) return "DOWN"
  if (!isHostUp(host, now, downAfterMs)) return "UNKNOWN"
  return host.isDisabled ? "MAINTENANCE" : "UP"
}
