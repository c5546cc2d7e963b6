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
  /** How long ago that was when the row was read. Both by the database's clock: hosts' clocks differ. */
  silentMs: number
  isDisabled: boolean
  disabledReason: string | null
  isForcedDown: boolean
  createdAt: Date
  updatedAt: Date
}

/** Whether the host may be expected to answer. */
export function isHostUp(host: Pick<Host, "silentMs" | "isForcedDown">, downAfterMs: number): boolean {
  return !host.isForcedDown && host.silentMs <= downAfterMs
}

/** Nova's `host_status` of a server. */
export function hostStatusOf(host: Host | undefined, downAfterMs: number): string {
  if (!host) return ""
  if (host.isForcedDown) return "DOWN"
  if (!isHostUp(host, downAfterMs)) return "UNKNOWN"
  return host.isDisabled ? "MAINTENANCE" : "UP"
}
