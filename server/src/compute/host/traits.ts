// What flavors and images may ask of a host by name: the traits that Nova's driver for libvirt reports of such a one.
import type { HostDescription } from "../../agent/protocol.ts"
import { standardTraits } from "../../placement/index.ts"

/** Where a flag of the processor is called otherwise. */
const otherNames: Readonly<Record<string, string>> = {
  ...{ aes: "AESNI", pclmulqdq: "CLMUL", pni: "SSE3", sha_ni: "SHA", sse4_1: "SSE41", sse4_2: "SSE42" },
  ...{ fma: "FMA3", bmi1: "BMI", md_clear: "INTEL_MD_CLEAR", pcid: "INTEL_PCID", gfni: "AVX512GFNI" },
  ...{ vaes: "AVX512VAES", vpclmulqdq: "AVX512VPCLMULQDQ", avx512_vnni: "AVX512VNNI" },
  ...{ avx512_vbmi2: "AVX512VBMI2", avx512_bitalg: "AVX512BITALG" },
  avx512_vpopcntdq: "AVX512VPOPCNTDQ",
}

const models = (kind: string, names: string) => names.split(" ").map((name) => `COMPUTE_${kind}_${name}`)

/** Of every host: what guests can have, as properties of images ask for it. */
const always = [
  "COMPUTE_NODE",
  "COMPUTE_DEVICE_TAGGING",
  "COMPUTE_NET_ATTACH_INTERFACE",
  "COMPUTE_RESCUE_BFV",
  ...models("VOLUME", "ATTACH EXTEND MULTI_ATTACH"),
  ...models("STORAGE_BUS", "IDE SATA SCSI USB VIRTIO"),
  ...models("NET_VIF_MODEL", "E1000 E1000E NE2K_PCI PCNET RTL8139 VIRTIO VMXNET3"),
  ...models("GRAPHICS_MODEL", "BOCHS CIRRUS NONE QXL VGA VIRTIO VMVGA"),
]

export function traitsOfHost(d: HostDescription): string[] {
  return [
    ...always,
    ...(d.abilities.snapshot ? ["COMPUTE_IMAGE_TYPE_QCOW2", "COMPUTE_IMAGE_TYPE_RAW"] : []),
    ...(d.guestHardware && d.abilities.accelerator !== "tcg"
      ? ["COMPUTE_ADDRESS_SPACE_PASSTHROUGH", "COMPUTE_ADDRESS_SPACE_EMULATED"]
      : []),
    ...(d.guestHardware?.hasSecureBoot ? ["COMPUTE_SECURITY_UEFI_SECURE_BOOT"] : []),
    ...tpmTraits(d.guestHardware?.tpmVersions ?? []),
    ...processorTraits(d),
  ]
}

/** The key of what a TPM holds is the cloud's, so that its server starts without its user. */
function tpmTraits(versions: readonly string[]): string[] {
  if (versions.length === 0) return []
  return [
    ...versions.map((version) => `COMPUTE_SECURITY_TPM_${version.replace(".", "_")}`),
    ...["TIS", "CRB", "SECRET_SECURITY_DEPLOYMENT"].map((what) => `COMPUTE_SECURITY_TPM_${what}`),
  ]
}

/** What guests are shown of it. A processor that is imitated (tcg) has nothing of the host's. */
function processorTraits({ abilities, cpuInfo }: HostDescription): string[] {
  if (abilities.accelerator === "tcg") return []
  const ofFlags = cpuInfo.features
    .map((flag) => `HW_CPU_X86_${otherNames[flag] ?? flag.toUpperCase()}`)
    .filter((trait) => standardTraits.has(trait))
  return [...new Set(ofFlags), ...(cpuInfo.topology.threads > 1 ? ["HW_CPU_HYPERTHREADING"] : [])]
}
