// The TPM that a flavor or an image asks for, by Nova's rules and in its words.
import type { GuestHardware } from "../../agent/protocol.ts"
import { badRequest } from "../faults.ts"
import { oneOf, type Wishes } from "./wishes.ts"

const versions = ["1.2", "2.0"] as const
const models = ["tpm-tis", "tpm-crb"] as const

export type Tpm = NonNullable<GuestHardware["tpm"]>

/** A model alone asks for nothing. */
export function tpmOf(wishes: Wishes): Tpm | null {
  const asked = oneOf(wishes, "hw:tpm_version")
  if (asked === undefined) return null
  const version = versions.find((one) => one === asked)
  if (!version) throw badRequest(`Invalid TPM version '${asked}'. Allowed values: ${versions.join(", ")}.`)
  const wanted = oneOf(wishes, "hw:tpm_model") ?? "tpm-tis"
  const model = models.find((one) => one === wanted)
  if (!model) throw badRequest(`Invalid TPM model '${wanted}'. Allowed values: ${models.join(", ")}.`)
  if (model === "tpm-crb" && version !== "2.0")
    throw badRequest("TPM model CRB is only valid with TPM version 2.0.")
  return { version, model }
}
