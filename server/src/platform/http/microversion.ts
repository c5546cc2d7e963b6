// Microversion negotiation. Reference: https://specs.openstack.org/openstack/api-sig/guidelines/microversion_specification.html
import { Fault } from "../fault/fault.ts"

/** Minor number within the API's one major (2.x of compute, 3.x of block storage, 1.x of placement). */
export interface Microversion {
  major: number
  minor: number
}

export interface MicroversionPlan {
  /** Word in `OpenStack-API-Version: compute 2.53`. */
  serviceType: string
  /** Older header that means the same (`X-OpenStack-Nova-API-Version`). */
  legacyHeader?: string
  min: string
  max: string
  /** Status of a version that is well-formed but not served: 406. */
}

const versionPattern = /^([1-9]\d*)\.(0|[1-9]\d*)$/

export function parseMicroversion(text: string): Microversion | undefined {
  const match = versionPattern.exec(text)
  return match ? { major: Number(match[1]), minor: Number(match[2]) } : undefined
}

export function formatMicroversion(version: Microversion): string {
  return `${version.major}.${version.minor}`
}

export function compareMicroversions(a: Microversion, b: Microversion): number {
  return a.major - b.major || a.minor - b.minor
}

/** `atLeast(ctx.version, "2.37")` */
export function atLeast(version: Microversion, text: string): boolean {
  const wanted = parseMicroversion(text)
  return wanted !== undefined && compareMicroversions(version, wanted) >= 0
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(",") : value
}

/** The version that the request asks for: the lowest without a header, the highest for `latest`. */
export function negotiate(
  plan: MicroversionPlan,
  headers: Readonly<Record<string, string | string[] | undefined>>,
): Microversion {
  const min = parseMicroversion(plan.min)
  const max = parseMicroversion(plan.max)
  if (!min || !max) throw new Error(`bad microversion plan of ${plan.serviceType}`)
  let asked: string | undefined
  for (const part of single(headers["openstack-api-version"])?.split(",") ?? []) {
    const [service, version, rest] = part.trim().split(/\s+/)
    if (service?.toLowerCase() === plan.serviceType && version !== undefined && rest === undefined)
      asked = version
  }
  if (asked === undefined && plan.legacyHeader)
    asked = single(headers[plan.legacyHeader.toLowerCase()])?.trim()
  if (asked === undefined || asked === "") return min
  if (asked.toLowerCase() === "latest") return max
  const version = parseMicroversion(asked)
  if (!version) {
    throw new Fault(
      "invalid",
      "api.microversion.malformed",
      `API Version String ${asked} is of invalid format. Must be of format MajorNum.MinorNum.`,
    )
  }
  if (compareMicroversions(version, min) < 0 || compareMicroversions(version, max) > 0) {
    throw new Fault(
      "unsupported",
      "api.microversion.not_served",
      `Version ${asked} is not supported by the API. Minimum is ${plan.min} and maximum is ${plan.max}.`,
      { detail: { min: plan.min, max: plan.max, status: 406 } },
    )
  }
  return version
}
