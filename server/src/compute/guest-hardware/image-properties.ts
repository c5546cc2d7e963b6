// Which properties of images there are that say how a guest's machine is made, and which values each takes, as Nova
// tells them (its ImageMetaProps). Others are the image's owner's own.
import { badRequest } from "../faults.ts"
import {
  amount,
  anyInteger,
  type Declared,
  declared,
  each,
  flag,
  mistakeOf,
  positive,
  text,
  unused,
  word,
} from "../flavor/spec-form.ts"

const diskBus = word("fdc", "ide", "sata", "scsi", "usb", "virtio", "xen", "lxc", "uml")
const ofXen = "of Nova's Xen driver, which is no more"
const ofVmware = "of VMware's driver"
const ofEc2 = "of images that came by EC2"

export const imageProperties: readonly Declared[] = declared("", {
  ...each(["hw_architecture", "architecture", "hw_emulation_architecture"], text),
  ...each(
    ["hw_auto_disk_config", "auto_disk_config"],
    unused(text, `partitions are resized by ${ofXen.slice(3)}`),
  ),
  hw_boot_menu: flag,
  hw_cdrom_bus: diskBus,
  ...each(["hw_cpu_sockets", "hw_cpu_cores", "hw_cpu_threads"], positive),
  ...each(["hw_cpu_max_sockets", "hw_cpu_max_cores", "hw_cpu_max_threads"], positive),
  hw_cpu_policy: word("dedicated", "shared", "mixed"),
  hw_cpu_thread_policy: word("prefer", "isolate", "require"),
  hw_cpu_realtime_mask: text,
  hw_device_id: unused(anyInteger, ofXen),
  hw_disk_bus: diskBus,
  ...each(["hw_disk_type", "vmware_disktype"], unused(text, ofVmware)),
  hw_floppy_bus: unused(diskBus, "no guest has a floppy"),
  hw_firmware_type: word("uefi", "bios"),
  hw_firmware_stateless: flag,
  hw_input_bus: word("usb", "virtio"),
  ...each(["hw_ipxe_boot", "ipxe_boot"], unused(flag, ofXen)),
  hw_locked_memory: flag,
  hw_machine_type: text,
  hw_maxphysaddr_mode: word("passthrough", "emulate"),
  hw_maxphysaddr_bits: positive,
  hw_mem_encryption: flag,
  hw_mem_encryption_model: word("amd-sev", "amd-sev-es", "amd-sev-snp"),
  hw_mem_page_size: text,
  hw_numa_nodes: positive,
  "hw_numa_cpus\\.\\d+": text,
  "hw_numa_mem\\.\\d+": positive,
  hw_pci_numa_affinity_policy: unused(
    word("required", "preferred", "legacy", "socket"),
    "no device of a host is passed through to guests",
  ),
  hw_pointer_model: word("usbtablet"),
  hw_pmu: flag,
  hw_qemu_guest_agent: flag,
  hw_rescue_bus: diskBus,
  hw_rescue_device: word("cdrom", "disk", "floppy", "fs", "lun"),
  hw_rng_model: word("virtio"),
  hw_time_hpet: flag,
  hw_serial_port_count: amount,
  hw_scsi_model: word(
    ...["buslogic", "ibmvscsi", "lsilogic", "lsisas1068", "lsisas1078", "virtio-scsi", "vmpvscsi"],
    ...["lsilogicsas", "paravirtual"],
  ),
  hw_video_model: word("cirrus", "qxl", "vga", "vmvga", "xen", "virtio", "gop", "none", "bochs"),
  hw_video_ram: amount,
  hw_vif_model: text,
  hw_viommu_model: word("intel", "smmuv3", "virtio", "auto"),
  ...each(["hw_vm_mode", "vm_mode"], text),
  hw_watchdog_action: word("none", "pause", "poweroff", "reset", "disabled"),
  hw_vif_multiqueue_enabled: unused(flag, "an interface has one queue: the switch reads one of each tap"),
  hw_tpm_model: word("tpm-tis", "tpm-crb"),
  hw_tpm_version: word("1.2", "2.0"),
  hw_ephemeral_encryption: flag,
  hw_ephemeral_encryption_format: word("plain", "luks", "luksv2"),
  hw_ephemeral_encryption_secret_uuid: unused(text, "written by Nova itself into its snapshots"),
  hw_virtio_packed_ring: flag,
  hw_sound_model: word("sb16", "es1370", "pcspk", "ac97", "ich6", "ich9", "usb", "virtio"),
  hw_usb_model: word("none", "nec-xhci", "qemu-xhci"),
  hw_redirected_usb_ports: amount,
  ...each(["img_bittorrent", "bittorrent"], unused(flag, ofXen)),
  ...each(["bdm_v2", "block_device_mapping"], text),
  ...each(["img_cache_in_nova", "cache_in_nova"], unused(flag, ofXen)),
  ...each(["img_compression_level", "xenapi_image_compression_level"], unused(anyInteger, ofXen)),
  ...each(["img_hv_requested_version", "hypervisor_version_requires"], text),
  ...each(["img_hv_type", "hypervisor_type"], text),
  img_config_drive: word("mandatory", "optional"),
  ...each(["img_linked_clone", "vmware_linked_clone"], unused(flag, ofVmware)),
  ...each(["img_mappings", "mappings"], unused(text, ofEc2)),
  ...each(["img_owner_id", "owner_id"], unused(text, "says only whose image a snapshot was made from")),
  ...each(["img_root_device_name", "root_device_name"], unused(text, ofEc2)),
  ...each(["img_use_agent", "xenapi_use_agent"], unused(flag, ofXen)),
  ...each(["img_version", "vmware_image_version"], unused(anyInteger, ofVmware)),
  ...each(
    [
      "img_signature",
      "img_signature_hash_method",
      "img_signature_certificate_uuid",
      "img_signature_key_type",
    ],
    text,
  ),
  img_hide_hypervisor_id: flag,
  kernel_id: text,
  ramdisk_id: text,
  os_admin_user: text,
  os_command_line: text,
  ...each(
    ["os_distro", "vmware_ostype"],
    unused(text, "Nova chooses devices by it from libosinfo's data; here the properties of devices say it"),
  ),
  os_require_quiesce: flag,
  os_secure_boot: word("required", "disabled", "optional"),
  ...each(
    ["os_skip_agent_inject_files_at_boot", "xenapi_skip_agent_inject_files_at_boot"],
    unused(flag, ofXen),
  ),
  ...each(["os_skip_agent_inject_ssh", "xenapi_skip_agent_inject_ssh"], unused(flag, ofXen)),
  os_type: text,
  "trait:[A-Z0-9_]+": word("required"),
})

const literal = new Map(imageProperties.map((one) => [one.pattern, one]))
const patterns = imageProperties.filter(({ pattern }) => pattern.includes("\\") || pattern.includes("["))

/** Throws for the first that has a value which it cannot have. */
export function checkImageProperties(properties: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(properties)) {
    const found = literal.get(name) ?? patterns.find(({ name: is }) => is.test(name))
    // Of these Nova passes over the case of the letters (`lsiLogic`).
    const read = name === "hw_scsi_model" ? value.toLowerCase() : value
    if (!found || value === "" || mistakeOf(found.form, read) === null) continue
    throw badRequest(
      `Invalid image metadata. Error: Invalid input for ${name}: '${value}' ${mistakeOf(found.form, value)}`,
    )
  }
}
