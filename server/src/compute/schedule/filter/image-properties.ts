import type { ScheduleOptions } from "../config.ts"
import type { HostState } from "../host-state.ts"
import type { ScheduleRequest } from "../request.ts"
import type { Filter, Refusal } from "./filter.ts"

/** Properties of the image that say what runs it: hw_architecture, img_hv_type, hw_vm_mode. */
export const imagePropertiesFilter: Filter = {
  name: "ImagePropertiesFilter",
  needs: ["description"],
  isAsked: (request, options) =>
    versionsOf(request).length > 0 || Object.values(wantedBy(request, options)).some((word) => word !== null),
  refuse: (host, request, options) => {
    const wanted = wantedBy(request, options)
    const has = kindsOf(host)
    for (const key of ["architecture", "hypervisor", "mode"] as const) {
      const word = wanted[key]
      if (word === null || has[key].includes(word)) continue
      return {
        why: `the image is for ${key} ${word}; the host runs ${has[key].join(", ") || "none"}`,
        fix: `another image, or one without that property`,
        forUser: `it does not run images for ${key} ${word}`,
      }
    }
    return refuseVersion(host, versionsOf(request))
  },
}

const versions = /^\s*(<=|>=|<|>|==|!=)\s*(\d+(?:\.\d+){0,2})\s*$/

/** `>=6.0,<8`, of the host's hypervisor. */
function versionsOf({ image }: ScheduleRequest): string[] {
  const properties = image?.properties ?? {}
  const text = properties.img_hv_requested_version ?? properties.hypervisor_version_requires ?? ""
  return text.split(",").filter((part) => part.trim() !== "")
}

function refuseVersion({ description }: HostState, wanted: readonly string[]): Refusal | null {
  const has = description?.hypervisorVersion ?? 0
  const missed = wanted.find((part) => {
    const [, operator, version = ""] = versions.exec(part) ?? []
    const [major = 0, minor = 0, micro = 0] = version.split(".").map(Number)
    const number = major * 1_000_000 + minor * 1_000 + micro
    const holds = {
      ...{ "<": has < number, ">": has > number, "<=": has <= number },
      ...{ ">=": has >= number, "==": has === number, "!=": has !== number },
    }
    return !holds[operator as keyof typeof holds]
  })
  if (missed === undefined) return null
  return {
    why: `the image is for hypervisors ${missed.trim()}; the host's is ${has}`,
    fix: "another image, or one without that property",
    forUser: `its hypervisor is not ${missed.trim()}`,
  }
}

const names: Readonly<Record<string, string>> = {
  amd64: "x86_64",
  x64: "x86_64",
  arm64: "aarch64",
  i386: "i686",
}
const canonical = (architecture: string) => names[architecture.toLowerCase()] ?? architecture.toLowerCase()

function wantedBy({ image }: ScheduleRequest, options: ScheduleOptions) {
  const property = (...keys: string[]) => {
    const found = keys.map((key) => image?.properties[key]).find((value) => value !== undefined)
    return found === undefined || found === "" ? null : found.toLowerCase()
  }
  const usual = options.imagePropertiesDefaultArchitecture
  const architecture =
    property("hw_emulation_architecture", "hw_architecture", "architecture") ?? (usual === "" ? null : usual)
  return {
    architecture: architecture === null ? null : canonical(architecture),
    hypervisor: property("img_hv_type", "hypervisor_type"),
    mode: property("hw_vm_mode", "vm_mode"),
  }
}

/** A 64-bit processor runs guests of its 32-bit elder too. */
const elder: Readonly<Record<string, string>> = { x86_64: "i686", aarch64: "armv7l" }

function kindsOf({ description }: HostState) {
  const own = canonical(description?.cpuInfo.arch ?? "")
  const older = elder[own]
  const isFake = description?.hypervisorType === "fake"
  return {
    architecture: older === undefined ? [own] : [own, older],
    hypervisor: isFake ? ["fake", "kvm", "qemu"] : ["kvm", "qemu"],
    mode: ["hvm"],
  }
}
