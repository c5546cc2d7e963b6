import { existsSync } from "node:fs"

const firmwarePlaces = [
  { code: "/usr/share/OVMF/OVMF_CODE_4M.fd", variables: "/usr/share/OVMF/OVMF_VARS_4M.fd" },
  { code: "/usr/share/OVMF/OVMF_CODE.fd", variables: "/usr/share/OVMF/OVMF_VARS.fd" },
]

export function findFirmware(): { code: string; variables: string } | null {
  return firmwarePlaces.find((place) => existsSync(place.code) && existsSync(place.variables)) ?? null
}
