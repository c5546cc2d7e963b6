// What a flavor and an image ask of a guest's machine. Nova has most wishes in both: `hw:cpu_policy` of a flavor and
// `hw_cpu_policy` of an image.
import { cpusMost, parseCpuSet } from "../../platform/cpu-set/cpu-set.ts"
import { badRequest } from "../faults.ts"
import type { FlavorSnapshot } from "../server/server.ts"

export interface Wishes {
  vcpus: number
  ramMib: number
  specs: Readonly<Record<string, string>>
  /** Properties of the image; none of a server that has no image. */
  image: Readonly<Record<string, string>>
}

export function wishesOf(
  flavor: Pick<FlavorSnapshot, "vcpus" | "ramMib" | "extraSpecs">,
  image: { properties: Readonly<Record<string, string>> } | null,
): Wishes {
  return {
    vcpus: flavor.vcpus,
    ramMib: flavor.ramMib,
    specs: flavor.extraSpecs,
    image: image?.properties ?? {},
  }
}

/** By the flavor's name for it. */
export function both(
  { specs, image }: Wishes,
  spec: `hw:${string}`,
): { ofFlavor?: string; ofImage?: string } {
  const [ofFlavor, ofImage] = [specs[spec], image[spec.replace(":", "_")]]
  return { ...(ofFlavor ? { ofFlavor } : {}), ...(ofImage ? { ofImage } : {}) }
}

/** For what both may say if they say the same. */
export function oneOf(wishes: Wishes, spec: `hw:${string}`): string | undefined {
  const { ofFlavor, ofImage } = both(wishes, spec)
  if (ofFlavor !== undefined && ofImage !== undefined && !isSame(ofFlavor, ofImage)) {
    throw badRequest(
      `Flavor has ${spec} extra spec explicitly set to ${ofFlavor}, conflicting with image which has ` +
        `${spec.replace(":", "_")} explicitly set to ${ofImage}.`,
    )
  }
  return ofFlavor ?? ofImage
}

function isSame(a: string, b: string): boolean {
  return a === b || (isFlag(a) && isFlag(b) && isTrue(a) === isTrue(b))
}

const isFlag = (text: string) => /^\s*(1|t|true|on|y|yes|0|f|false|off|n|no)\s*$/i.test(text)

export function isTrue(text: string | undefined): boolean {
  return text !== undefined && /^\s*(1|t|true|on|y|yes)\s*$/i.test(text)
}

/** Of a text that may come from a flavor made before its specs were checked. */
export function wholeNumber(name: string, text: string): number {
  if (!/^\s*[+-]?\d{1,15}\s*$/.test(text))
    throw badRequest(`Invalid input for ${name}: '${text}' is no number.`)
  return Number(text)
}

/** Each of a guest's own, of which cells or pins are to be made. */
export function eachCpu({ vcpus }: Wishes): number[] {
  if (vcpus > cpusMost) throw badRequest(`Invalid input for vcpus: no guest has ${vcpus} processors.`)
  return Array.from({ length: vcpus }, (_, cpu) => cpu)
}

export function parseCpus(text: string): number[] {
  const cpus = parseCpuSet(text)
  if ("mistake" in cpus) throw badRequest(cpus.mistake)
  return cpus
}
