// What of placement a server's flavor and image ask for: amounts by resource class and traits, as Nova makes them of
// extra specs. A host is one provider, so what is asked for in several groups is asked of it together.
import { badRequest } from "../faults.ts"
import type { CpuPlan } from "./cpu-policy.ts"
import { secureBootOf } from "./secure-boot.ts"
import { tpmOf } from "./tpm.ts"
import { isTrue, oneOf, type Wishes, wholeNumber } from "./wishes.ts"

export interface WantedTraits {
  required: readonly string[]
  forbidden: readonly string[]
}

export interface WantedGroups {
  /** Instead of the flavor's own. */
  overrides: Readonly<Record<string, number>>
  /** Beside them. */
  more: Readonly<Record<string, number>>
  /** Each group from another provider, which one host is not. */
  isApart: boolean
}

/** As placement counts. */
const amountMost = 2_147_483_647

/** `resources:VCPU` is instead of the flavor's own, `resources1:VCPU` beside it. */
export function groupsOf(wishes: Wishes): WantedGroups {
  const overrides: Record<string, number> = {}
  const more: Record<string, number> = {}
  const groups = new Set<string>()
  for (const [key, value] of Object.entries(wishes.specs)) {
    const [, group, name] = /^resources([a-zA-Z0-9_-]{0,64}):([A-Z0-9_]+)$/.exec(key) ?? []
    if (group === undefined || name === undefined) continue
    const amount = wholeNumber(key, value)
    if (amount < 0 || amount > amountMost)
      throw badRequest(`Invalid input for ${key}: ${value} is not between 0 and ${amountMost}.`)
    if (group === "") overrides[name] = amount
    else {
      groups.add(group)
      more[name] = (more[name] ?? 0) + amount
    }
  }
  for (const name of (wishes.specs["hw:pmem"] ?? "").split(",").map((one) => one.trim())) {
    const resourceClass = `CUSTOM_PMEM_NAMESPACE_${name.toUpperCase()}`
    if (name !== "") more[resourceClass] = (more[resourceClass] ?? 0) + 1
  }
  if (isTrue(oneOf(wishes, "hw:mem_encryption"))) more.MEM_ENCRYPTION_CONTEXT = 1
  return { overrides, more, isApart: groups.size > 1 && wishes.specs.group_policy === "isolate" }
}

export function traitsOf(wishes: Wishes, { threads }: CpuPlan): WantedTraits {
  const required = new Set<string>(impliedTraits(wishes))
  const forbidden = new Set<string>()
  if (threads === "require") required.add("HW_CPU_HYPERTHREADING")
  if (threads === "isolate") forbidden.add("HW_CPU_HYPERTHREADING")
  for (const [key, value] of [...Object.entries(wishes.specs), ...Object.entries(wishes.image)]) {
    const [, name] = /^trait[a-zA-Z0-9_-]{0,64}:([A-Z0-9_]+)$/.exec(key) ?? []
    if (name === undefined) continue
    if (value === "required") required.add(name)
    if (value === "forbidden" && Object.hasOwn(wishes.specs, key)) forbidden.add(name)
  }
  return { required: [...required].sort(), forbidden: [...forbidden].sort() }
}

/** Of what hosts have or have not: the traits that Nova asks for it. */
function impliedTraits(wishes: Wishes): string[] {
  const model = (spec: `hw:${string}`) => oneOf(wishes, spec)?.toUpperCase().replaceAll("-", "_")
  const [viommu, sound, usb] = [model("hw:viommu_model"), model("hw:sound_model"), model("hw:usb_model")]
  const addresses = oneOf(wishes, "hw:maxphysaddr_mode")
  return [
    ...(viommu ? [`COMPUTE_VIOMMU_MODEL_${viommu}`] : []),
    ...(sound ? [`COMPUTE_SOUND_MODEL_${sound}`] : []),
    ...(usb && usb !== "NONE" ? [`COMPUTE_USB_MODEL_${usb}`] : []),
    ...(isTrue(oneOf(wishes, "hw:virtio_packed_ring")) ? ["COMPUTE_NET_VIRTIO_PACKED"] : []),
    ...(secureBootOf(wishes) === "required" ? ["COMPUTE_SECURITY_UEFI_SECURE_BOOT"] : []),
    ...(isTrue(wishes.image.hw_firmware_stateless) ? ["COMPUTE_SECURITY_STATELESS_FIRMWARE"] : []),
    ...(addresses === "passthrough" ? ["COMPUTE_ADDRESS_SPACE_PASSTHROUGH"] : []),
    ...(addresses === "emulate" ? ["COMPUTE_ADDRESS_SPACE_EMULATED"] : []),
    ...encryptionTraits(wishes),
    ...tpmTraits(wishes),
  ]
}

function encryptionTraits(wishes: Wishes): string[] {
  const memory = isTrue(oneOf(wishes, "hw:mem_encryption"))
  const memoryModel = oneOf(wishes, "hw:mem_encryption_model") ?? "amd-sev"
  const disks = isTrue(oneOf(wishes, "hw:ephemeral_encryption"))
  const format = oneOf(wishes, "hw:ephemeral_encryption_format") ?? "luks"
  return [
    ...(memory ? [`HW_CPU_X86_${memoryModel.toUpperCase().replaceAll("-", "_")}`] : []),
    ...(disks
      ? ["COMPUTE_EPHEMERAL_ENCRYPTION", `COMPUTE_EPHEMERAL_ENCRYPTION_${format.toUpperCase()}`]
      : []),
  ]
}

function tpmTraits(wishes: Wishes): string[] {
  const tpm = tpmOf(wishes)
  if (tpm === null) return []
  const secret = wishes.specs["hw:tpm_secret_security"]
  return [
    `COMPUTE_SECURITY_TPM_${tpm.version.replace(".", "_")}`,
    `COMPUTE_SECURITY_${tpm.model.toUpperCase().replace("-", "_")}`,
    ...(secret ? [`COMPUTE_SECURITY_TPM_SECRET_SECURITY_${secret.toUpperCase()}`] : []),
  ]
}
