// The machine that a flavor and an image ask for beyond processors, memory and disks (ADR 42). Pure. What cannot be is
// told when the server is to be made; of a server that there is from before, what is wrong is left aside.
import type { GuestHardware, IoLimits } from "../../agent/protocol.ts"
import type { Resources } from "../../placement/index.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { checkKeptSpecs } from "../flavor/spec-forms.ts"
import type { FlavorSnapshot } from "../server/server.ts"
import { cpuPlanOf } from "./cpu-policy.ts"
import { checkImageProperties } from "./image-properties.ts"
import { cpuLimitsOf, diskLimitsOf } from "./limits.ts"
import { cellsOf } from "./numa.ts"
import { type PageSize, pageSizeOf, usualPageKib } from "./page-size.ts"
import { propertiesOf } from "./properties.ts"
import { tpmOf } from "./tpm.ts"
import { checkMet } from "./unmet.ts"
import { groupsOf, traitsOf, type WantedTraits } from "./wanted.ts"
import { type Wishes, wishesOf } from "./wishes.ts"

export interface Hardware {
  /** For the host's agent; null: nothing beyond the ordinary. */
  machine: GuestHardware | null
  pageSize: PageSize | null
  diskLimits: IoLimits | null
  properties: Readonly<Record<string, string>>
  /** Instead of the flavor's sizes, and beside them. */
  resources: Resources
  moreResources: Resources
  traits: WantedTraits
  /** Groups of resources that one provider alone cannot give. */
  isApart: boolean
}

type Flavor = Pick<FlavorSnapshot, "vcpus" | "ramMib" | "extraSpecs">
type Image = { properties: Readonly<Record<string, string>> } | null

/** Throws what Nova says when flavor and image cannot be had, alone or together. */
export function checkHardware(flavor: Flavor, image: Image): void {
  if (image) checkImageProperties(image.properties)
  const wishes = wishesOf(flavor, image)
  // First what Nova has its own words for.
  hardwareOf(wishes)
  checkKeptSpecs(flavor.extraSpecs)
  checkMet(wishes)
}

export function keptHardware(flavor: Flavor, image: Image): Hardware {
  try {
    return hardwareOf(wishesOf(flavor, image))
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    const plain = hardwareOf(wishesOf({ ...flavor, extraSpecs: {} }, null))
    return { ...plain, properties: { ...image?.properties, ...plain.properties } }
  }
}

function hardwareOf(wishes: Wishes): Hardware {
  const cpus = cpuPlanOf(wishes)
  const pageSize = pageSizeOf(wishes)
  const cells = cellsOf(wishes, pageSize !== null || cpus.pinned.length > 0)
  const cpuLimits = cpuLimitsOf(wishes)
  const tpm = tpmOf(wishes)
  const { overrides, more, isApart } = groupsOf(wishes)
  const pcpus = cpus.pinned.length + (cpus.isolatesEmulator ? 1 : 0)
  const vcpus = wishes.vcpus - cpus.pinned.length
  const resources = { VCPU: vcpus, ...(pcpus > 0 && { PCPU: pcpus }), ...overrides }
  const machine: GuestHardware = {
    ...(cells.length > 0 && { cells: cells.map((cell) => ({ ...cell, cpus: [...cell.cpus] })) }),
    ...(pageSize !== null && pageSize !== "small" && pageSize !== usualPageKib && { pageSize }),
    ...(cpus.pinned.length > 0 && { pinnedCpus: [...cpus.pinned] }),
    ...(cpus.isolatesEmulator && { isolatesEmulator: true }),
    ...(cpuLimits && { cpuLimits }),
    ...(tpm && { tpm }),
  }
  return {
    machine: Object.keys(machine).length > 0 ? machine : null,
    pageSize,
    diskLimits: diskLimitsOf(wishes),
    properties: propertiesOf(wishes),
    resources,
    moreResources: more,
    traits: traitsOf(wishes, cpus),
    isApart,
  }
}
