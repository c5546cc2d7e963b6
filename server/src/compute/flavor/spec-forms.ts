// Which extra specs there are, and which values each takes, as Nova tells them from 2.86 on. Of a namespace that it
// knows anything else is a mistake; specs of other namespaces, or of none, are the operator's own.
import { standardResourceClasses, standardTraits } from "../../placement/index.ts"
import { badRequest } from "../faults.ts"
import {
  amount,
  anyInteger,
  type Declared,
  declared,
  each,
  type Form,
  flag,
  mistakeOf,
  pattern,
  positive,
  text,
  unused,
  whole,
  word,
} from "./spec-form.ts"

/** Each text is read in one way alone: a pattern that has several takes for ever with a long one. */
const cpus = "\\^?\\d+(-\\d+)?(,\\^?\\d+(-\\d+)?)*"

const hw: Readonly<Record<string, Form>> = {
  ...each(["cpu_realtime", "hide_hypervisor_id", "locked_memory", "boot_menu"], flag),
  vif_multiqueue_enabled: unused(flag, "an interface has one queue: the switch reads one of each tap"),
  ...each(["mem_encryption", "pmu", "virtio_packed_ring", "ephemeral_encryption"], flag),
  ...each(["numa_nodes", "cpu_sockets", "cpu_cores", "cpu_threads"], positive),
  ...each(["cpu_max_sockets", "cpu_max_cores", "cpu_max_threads", "numa_mem\\.\\d+"], positive),
  ...each(["cpu_dedicated_mask", "numa_cpus\\.\\d+"], pattern(cpus)),
  cpu_realtime_mask: pattern(cpus),
  cpu_policy: word("dedicated", "shared", "mixed"),
  cpu_thread_policy: word("prefer", "isolate", "require"),
  emulator_threads_policy: word("isolate", "share"),
  mem_page_size: pattern("(large|small|any|\\d+([kKMGT]i?)?(b|bit|B)?)"),
  pci_numa_affinity_policy: unused(
    word("required", "preferred", "legacy", "socket"),
    "no device of a host is passed through to guests",
  ),
  maxphysaddr_mode: word("passthrough", "emulate"),
  maxphysaddr_bits: positive,
  mem_encryption_model: word("amd-sev", "amd-sev-es", "amd-sev-snp"),
  pmem: pattern("[a-zA-Z0-9_]+(,[a-zA-Z0-9_]+)*,?"),
  serial_port_count: amount,
  tpm_model: word("tpm-tis", "tpm-crb"),
  tpm_version: word("1.2", "2.0"),
  tpm_secret_security: word("user", "host", "deployment"),
  watchdog_action: word("none", "pause", "poweroff", "reset", "disabled"),
  viommu_model: word("intel", "smmuv3", "virtio", "auto"),
  sound_model: word("sb16", "es1370", "pcspk", "ac97", "ich6", "ich9", "usb", "virtio"),
  usb_model: word("none", "nec-xhci", "qemu-xhci"),
  redirected_usb_ports: { kind: "integer", min: 0, max: 15 },
  ephemeral_encryption_format: word("plain", "luks", "luksv2"),
}

const ofVmware = "of VMware's driver; QEMU's guests are bounded by quota:cpu_shares, cpu_period and cpu_quota"
const shared = ["cpu", "memory", "disk_io", "vif"]
const every = (prefixes: readonly string[], ends: readonly string[]) =>
  prefixes.flatMap((prefix) => ends.map((end) => `${prefix}_${end}`))

const quota: Readonly<Record<string, Form>> = {
  ...each(every(shared, ["limit", "shares_share"]), unused(amount, ofVmware)),
  ...each(every(shared, ["reservation"]), unused(anyInteger, ofVmware)),
  ...each(every(shared, ["shares_level"]), unused(word("custom", "high", "normal", "low"), ofVmware)),
  ...each(["cpu_shares", "cpu_period"], amount),
  cpu_quota: anyInteger,
  ...each(every(["disk_read", "disk_write", "disk_total"], ["bytes_sec", "iops_sec"]), amount),
  ...each(every(["vif_inbound", "vif_outbound"], ["average", "peak", "burst"]), amount),
}

/** Of what a scheduler knows of a host. */
const capabilities =
  "(id|uuid|service_id|host|vcpus|memory_mb|local_gb|vcpus_used|memory_mb_used|local_gb_used|hypervisor_type|" +
  "hypervisor_version|hypervisor_hostname|free_ram_mb|free_disk_gb|current_workload|running_vms|" +
  "disk_available_least|host_ip|mapped|cpu_allocation_ratio|ram_allocation_ratio|disk_allocation_ratio|" +
  "total_usable_ram_mb|total_usable_disk_gb|disk_mb_used|free_disk_mb|vcpus_total|num_instances|num_io_ops|" +
  "failed_builds|aggregates|cell_uuid|updated|(cpu_info|metrics|stats|numa_topology|supported_hv_specs|" +
  "pci_device_pools|nodename|pci_stats|supported_instances|limits|instances)(:\\w+)*)"

/** Of the request's group, where it is of one. */
const group = "([a-zA-Z0-9_-]{1,64})?"

/** Namespace → names below it; both are patterns. */
const namespaces: Readonly<Record<string, Readonly<Record<string, Form>>>> = {
  accel: { device_profile: text },
  aggregate_instance_extra_specs: { ".+": text },
  capabilities: { [capabilities]: text },
  hw,
  hw_rng: { allowed: flag, ...each(["rate_bytes", "rate_period"], amount) },
  hw_video: { ram_max_mb: amount },
  os: { secure_boot: word("disabled", "required") },
  pci_passthrough: { alias: pattern("[^:]+:\\d+(?:\\s*,\\s*[^:]+:\\d+)*") },
  quota,
  [`resources${group}`]: { [`CUSTOM_[A-Z0-9_]+|${standardResourceClasses.join("|")}`]: anyInteger },
  [`trait${group}`]: {
    [`CUSTOM_[A-Z0-9_]+|${[...standardTraits].join("|")}`]: word("required", "forbidden"),
  },
  vmware: each(["hw_version", "storage_policy"], unused(text, "of VMware's driver")),
}

const plain: readonly Declared[] = declared("", {
  hide_hypervisor_id: flag,
  group_policy: word("isolate", "none"),
})

const known = Object.entries(namespaces).map(([namespace, forms]) => ({
  namespace: whole(namespace),
  specs: declared(`${namespace}:`, forms),
}))

/** All that there are. */
export const extraSpecs: readonly Declared[] = [...known.flatMap(({ specs }) => specs), ...plain]

function formOf(spec: string): Form | undefined {
  const at = spec.indexOf(":")
  if (at < 0) return plain.find(({ name }) => name.test(spec))?.form ?? text
  const found = known.find(({ namespace }) => namespace.test(spec.slice(0, at)))
  return found ? found.specs.find(({ name }) => name.test(spec))?.form : text
}

/**
 * Throws for the first that has a value which it cannot have: a flavor may be from before they were checked. What
 * nobody reads may have any.
 */
export function checkKeptSpecs(specs: Readonly<Record<string, string>>): void {
  for (const [spec, value] of Object.entries(specs)) {
    const form = formOf(spec)
    const why = !form || form.unused !== undefined || value === "" ? null : mistakeOf(form, value)
    if (why !== null) throw badRequest(`Invalid input for ${spec}: '${value}' ${why}.`)
  }
}

const failed = (why: string) => badRequest(`Validation failed; ${why}.`)

/** Throws for the first that is none, or has a value that it cannot have. */
export function checkSpecs(specs: Readonly<Record<string, string>>): void {
  for (const [spec, value] of Object.entries(specs)) {
    const form = formOf(spec)
    if (!form) throw failed(`extra spec '${spec}' does not appear to be a valid extra spec`)
    const why = mistakeOf(form, value)
    if (why !== null) throw failed(`'${value}' ${why}`)
  }
}
