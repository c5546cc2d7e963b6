import type { ScheduleRequest } from "../request.ts"
import type { Filter } from "./filter.ts"
import { hostFact } from "./host-fact.ts"
import { matchesSpec } from "./spec-operator.ts"

/** Extra specs of the flavor with the scope `capabilities` or none: `capabilities:cpu_info:arch = x86_64`. */
export const computeCapabilitiesFilter: Filter = {
  name: "ComputeCapabilitiesFilter",
  needs: ["description", "instances", "ioOps"],
  isAsked: (request) => specsOf(request).length > 0,
  refuse: (host, request) => {
    for (const [key, path, spec] of specsOf(request)) {
      const has = hostFact(host, path)
      const texts = (Array.isArray(has) ? has : [has]).map(textOf)
      if (has !== undefined && (texts.some((text) => matchesSpec(text, spec)) || matchesSpec(`${has}`, spec)))
        continue
      const told = has === undefined ? "nothing of that name" : textOf(has)
      return {
        why: `the flavor asks for ${key} ${spec}; the host has ${told}`,
        fix: `change the flavor's extra spec ${key}`,
        forUser: `it does not have the flavor's ${key}`,
      }
    }
    return null
  },
}

function textOf(value: unknown): string {
  return typeof value === "object" ? JSON.stringify(value) : String(value)
}

function specsOf({ flavor }: ScheduleRequest): [key: string, path: string[], spec: string][] {
  return Object.entries(flavor.extraSpecs).flatMap(([key, spec]) => {
    const [first = "", ...rest] = key.split(":")
    if (rest.length === 0) return [[key, [first], spec] as [string, string[], string]]
    return first === "capabilities" ? [[key, rest, spec] as [string, string[], string]] : []
  })
}
