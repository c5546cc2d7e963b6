import { type TSchema, Type } from "typebox"
import { count, each, flag, nothing, text } from "../../api/openstack/shape.ts"
import { versions } from "../../platform/http/versions.ts"
import { mapOf } from "../../platform/schema/make.ts"
import type { VmDiagnostics } from "../index.ts"

const member = (members: Readonly<Record<string, TSchema>>) => Type.Object(members)
const disk = each("read_bytes read_requests write_bytes write_requests errors_count", count)
const nic = {
  mac_address: text,
  ...each("rx_octets rx_packets tx_octets tx_packets", count),
  ...each("rx_errors rx_drop rx_rate tx_errors tx_drop tx_rate", nothing),
}
const standard = member({
  ...each("state driver hypervisor hypervisor_os", text),
  config_drive: flag,
  ...each("uptime num_cpus num_disks num_nics", count),
  memory_details: member(each("maximum used", count)),
  cpu_details: Type.Array(member({ id: count, time: count, utilisation: nothing })),
  disk_details: Type.Array(member(disk)),
  nic_details: Type.Array(member(nic)),
})
/** Before 2.48 its names are those of the parts of the machine. */
export const diagnostics = versions({ "2.1": mapOf(count), "2.48": standard })

/** The standard form, from 2.48 on. */
export function viewDiagnostics(d: VmDiagnostics) {
  return {
    state: d.state,
    // One of Nova's closed list; the nearest word for a QEMU of our own.
    driver: "libvirt",
    hypervisor: d.hypervisor,
    hypervisor_os: d.hypervisorOs,
    uptime: d.uptimeSeconds,
    config_drive: d.configDrive,
    num_cpus: d.cpus.length,
    num_disks: d.disks.length,
    num_nics: d.nics.length,
    memory_details: { maximum: d.memoryMaximumMib, used: d.memoryUsedMib },
    cpu_details: d.cpus.map((cpu) => ({ id: cpu.id, time: cpu.timeNs, utilisation: null })),
    disk_details: d.disks.map((disk) => ({
      read_bytes: disk.readBytes,
      read_requests: disk.readRequests,
      write_bytes: disk.writeBytes,
      write_requests: disk.writeRequests,
      errors_count: disk.errors,
    })),
    nic_details: d.nics.map((nic) => ({
      mac_address: nic.macAddress,
      rx_octets: nic.rxBytes,
      rx_packets: nic.rxPackets,
      rx_errors: null,
      rx_drop: null,
      rx_rate: null,
      tx_octets: nic.txBytes,
      tx_packets: nic.txPackets,
      tx_errors: null,
      tx_drop: null,
      tx_rate: null,
    })),
  }
}

/** Before 2.48: one flat object, named as libvirt's driver named its figures. */
export function viewDiagnosticsLegacy(d: VmDiagnostics) {
  const view: Record<string, number> = {
    memory: d.memoryMaximumMib * 1024,
    "memory-actual": d.memoryUsedMib * 1024,
  }
  for (const cpu of d.cpus) view[`cpu${cpu.id}_time`] = cpu.timeNs
  for (const disk of d.disks) {
    view[`${disk.name}_read`] = disk.readBytes
    view[`${disk.name}_read_req`] = disk.readRequests
    view[`${disk.name}_write`] = disk.writeBytes
    view[`${disk.name}_write_req`] = disk.writeRequests
    view[`${disk.name}_errors`] = disk.errors
  }
  for (const [i, nic] of d.nics.entries()) {
    view[`vnet${i}_rx`] = nic.rxBytes
    view[`vnet${i}_rx_packets`] = nic.rxPackets
    view[`vnet${i}_tx`] = nic.txBytes
    view[`vnet${i}_tx_packets`] = nic.txPackets
  }
  return view
}
