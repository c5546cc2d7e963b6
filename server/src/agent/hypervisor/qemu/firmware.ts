import { existsSync } from "node:fs"
import type { VmSpec } from "../../protocol.ts"
import { isQ35 } from "./devices.ts"

export interface FirmwareFiles {
  code: string
  /** What a new guest's variables are copied from. */
  variables: string
}

/** OVMF, as Debian has it. */
export interface Firmware extends FirmwareFiles {
  /** Starts only what is signed; its variables have Microsoft's keys. */
  secure?: FirmwareFiles
}

const directory = "/usr/share/OVMF"
const kinds = ["_4M", ""] as const

export function findFirmware(): Firmware | null {
  for (const kind of kinds) {
    const plain = filesOf(`OVMF_CODE${kind}.fd`, `OVMF_VARS${kind}.fd`)
    const secure = filesOf(`OVMF_CODE${kind}.secboot.fd`, `OVMF_VARS${kind}.ms.fd`)
    if (plain) return { ...plain, ...(secure && { secure }) }
  }
  return null
}

function filesOf(code: string, variables: string): FirmwareFiles | null {
  const files = { code: `${directory}/${code}`, variables: `${directory}/${variables}` }
  return existsSync(files.code) && existsSync(files.variables) ? files : null
}

/** Of a machine that can, and is to (`required`) or may where its host can (`optional`). */
export function wantsSecureBoot(spec: VmSpec, firmware: Firmware | null): boolean {
  const { os_secure_boot: policy, hw_firmware_type: type } = spec.properties
  if (type !== "uefi" || !isQ35(spec)) return false
  return policy === "required" || (policy === "optional" && firmware?.secure !== undefined)
}

/** Null: the host has none of the kind. */
export function firmwareOf(spec: VmSpec, firmware: Firmware | null): FirmwareFiles | null {
  return wantsSecureBoot(spec, firmware) ? (firmware?.secure ?? null) : firmware
}
