// Facts of hosts by the names that Nova's users know them by, in extra specs and in the hint `query`.
import { freeOf, type HostState } from "../host-state.ts"

const facts: Record<string, (host: HostState) => unknown> = {
  host: (h) => h.name,
  hypervisor_hostname: (h) => h.name,
  host_ip: (h) => h.description?.hostIp,
  hypervisor_type: (h) => h.description?.hypervisorType,
  hypervisor_version: (h) => h.description?.hypervisorVersion,
  cpu_info: (h) => h.description?.cpuInfo,
  free_ram_mb: (h) => freeOf(h, "MEMORY_MB"),
  free_disk_mb: (h) => freeOf(h, "DISK_GB") * 1024,
  disk_mb_used: (h) => (h.rooms.DISK_GB?.used ?? 0) * 1024,
  total_usable_ram_mb: (h) => h.rooms.MEMORY_MB?.total ?? 0,
  total_usable_disk_gb: (h) => h.rooms.DISK_GB?.total ?? 0,
  vcpus_total: (h) => h.rooms.VCPU?.total ?? 0,
  vcpus_used: (h) => h.rooms.VCPU?.used ?? 0,
  num_instances: (h) => h.instances,
  num_io_ops: (h) => h.ioOps,
  failed_builds: (h) => h.failedBuilds,
}

/** `cpu_info`, `features` → the list; undefined when there is none. */
export function hostFact(host: HostState, [name = "", ...path]: readonly string[]): unknown {
  let value: unknown = Object.hasOwn(facts, name) ? facts[name]?.(host) : undefined
  for (const key of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined
    value = (value as Record<string, unknown>)[key]
  }
  return value
}
