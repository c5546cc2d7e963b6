// Whether the firmware starts only what is signed, by Nova's rules and in its words.
import { badRequest } from "../faults.ts"
import type { Wishes } from "./wishes.ts"

const policies = ["required", "disabled", "optional"] as const
export type SecureBoot = (typeof policies)[number]

export function secureBootOf({ specs, image }: Wishes): SecureBoot | null {
  const [ofFlavor, ofImage] = [specs["os:secure_boot"], image.os_secure_boot]
  if (ofFlavor && ofImage && ofFlavor !== ofImage)
    throw badRequest(
      `Flavor has os:secure_boot extra spec explicitly set to ${ofFlavor}, conflicting with image which has ` +
        `os_secure_boot explicitly set to ${ofImage}.`,
    )
  const asked = ofFlavor || ofImage
  if (!asked) return null
  const policy = policies.find((one) => one === asked)
  if (!policy)
    throw badRequest(`Invalid secure boot policy '${asked}'. Allowed values: ${policies.join(", ")}.`)
  if (policy === "required") checkMachine(image)
  return policy
}

function checkMachine({ hw_firmware_type: firmware, hw_machine_type: type }: Wishes["image"]): void {
  const cannot = (why: string) =>
    badRequest(`Invalid input for os_secure_boot: 'required' cannot be met: ${why}.`)
  if (firmware !== "uefi") throw cannot("the image's hw_firmware_type must be uefi")
  if (type && !/q35/.test(type)) throw cannot(`the image's hw_machine_type is ${type}, and must be q35`)
}

/** In the hypervisor's words: the machine is one that can, where the image names none. */
export function secureBootProperties(wishes: Wishes): Record<string, string> {
  const policy = secureBootOf(wishes)
  if (policy !== "required") return policy === null ? {} : { os_secure_boot: policy }
  return { os_secure_boot: policy, hw_machine_type: wishes.image.hw_machine_type || "q35" }
}
