// Which of a guest's processors have one of the host's for themselves, by Nova's rules and in its words.
import { badRequest } from "../faults.ts"
import { both, eachCpu, isTrue, parseCpus, type Wishes } from "./wishes.ts"

export interface CpuPlan {
  /** Processors of the guest that are pinned, each to one of the host's that nobody else has. */
  pinned: readonly number[]
  /** What else QEMU does gets one, too. */
  isolatesEmulator: boolean
  threads: "prefer" | "isolate" | "require" | null
  isRealtime: boolean
}

const policies = ["dedicated", "shared", "mixed"]
const threadPolicies = ["prefer", "isolate", "require"]

export function cpuPlanOf(wishes: Wishes): CpuPlan {
  const asked = policyOf(wishes)
  const { vcpu, pcpu } = cpuResources(wishes)
  if (asked !== null && (vcpu || pcpu))
    throw badRequest(
      "It is not possible to use the 'resources:VCPU' or 'resources:PCPU' extra specs in combination with the " +
        "'hw:cpu_policy' extra spec or 'hw_cpu_policy' image metadata property; use one or the other",
    )
  if (vcpu && pcpu)
    throw badRequest(
      "It is not possible to specify both 'resources:VCPU' and 'resources:PCPU' extra specs; use one or the other",
    )
  const isolatesEmulator = emulatorPolicyOf(wishes) === "isolate"
  if (pcpu) checkPcpus(wishes, pcpu, isolatesEmulator)
  const policy = pcpu ? "dedicated" : vcpu ? "shared" : asked
  const threads = threadsOf(wishes)
  const realtime = realtimeCpusOf(wishes)
  const dedicated = dedicatedCpusOf(wishes)
  if (policy === null || policy === "shared") {
    if (threads)
      throw badRequest("Cannot set cpu thread pinning policy in a non dedicated cpu pinning policy")
    if (isolatesEmulator)
      throw badRequest("An isolated CPU emulator threads option requires a dedicated CPU policy option.")
    if (realtime) throw badRequest("Cannot set realtime policy in a non dedicated cpu pinning policy")
  }
  if (policy !== "mixed" && dedicated)
    throw badRequest("Cannot specify 'hw:cpu_dedicated_mask' without the 'mixed' policy.")
  if (policy === "mixed" && (realtime === null) === (dedicated === null))
    throw badRequest(
      "Dedicated CPU set can be specified from either 'hw:cpu_dedicated_mask' or 'hw:cpu_realtime_mask' when using " +
        "'mixed' CPU policy. 'hw:cpu_dedicated_mask' and 'hw:cpu_realtime_mask' can not be specified at the same " +
        "time, or be specified with none of them.",
    )
  const pinned =
    policy === "dedicated" ? eachCpu(wishes) : policy === "mixed" ? (dedicated ?? realtime ?? []) : []
  return { pinned, isolatesEmulator, threads, isRealtime: realtime !== null }
}

function policyOf(wishes: Wishes): "dedicated" | "shared" | "mixed" | null {
  const { ofFlavor, ofImage } = both(wishes, "hw:cpu_policy")
  for (const [source, policy] of [
    ["flavor extra specs", ofFlavor],
    ["image properties", ofImage],
  ])
    if (policy !== undefined && !policies.includes(policy))
      throw badRequest(
        `CPU policy requested from '${source}' is invalid, given: '${policy}', available: '${policies.join(", ")}'.`,
      )
  const isOverridden =
    (ofFlavor === "mixed" && ofImage === "dedicated") ||
    (ofFlavor === "shared" && (ofImage === "mixed" || ofImage === "dedicated"))
  if (isOverridden)
    throw badRequest(
      "Image property 'hw_cpu_policy' is not permitted to override CPU pinning policy set against the flavor",
    )
  return (ofFlavor ?? ofImage ?? null) as "dedicated" | "shared" | "mixed" | null
}

function threadsOf(wishes: Wishes): CpuPlan["threads"] {
  const { ofFlavor, ofImage } = both(wishes, "hw:cpu_thread_policy")
  const hyperthreading = Object.entries(wishes.specs).find(([key]) =>
    /^trait([1-9][0-9]*)?:HW_CPU_HYPERTHREADING$/.test(key),
  )?.[1]
  for (const [source, policy] of [
    ["flavor extra specs", ofFlavor],
    ["image properties", ofImage],
  ])
    if (policy !== undefined && !threadPolicies.includes(policy))
      throw badRequest(
        `CPU thread policy requested from '${source}' is invalid, given: '${policy}', available: ` +
          `'${threadPolicies.join(", ")}'.`,
      )
  if (ofFlavor !== undefined && ofFlavor !== "prefer" && ofImage !== undefined && ofImage !== ofFlavor)
    throw badRequest(
      "Image property 'hw_cpu_thread_policy' is not permitted to override CPU thread pinning policy set against " +
        "the flavor",
    )
  const policy = (ofFlavor ?? ofImage ?? null) as CpuPlan["threads"]
  if (policy !== null && hyperthreading !== undefined)
    throw badRequest(
      "It is not possible to use the 'trait:HW_CPU_HYPERTHREADING' extra spec in combination with the " +
        "'hw:cpu_thread_policy' extra spec or 'hw_cpu_thread_policy' image metadata property; use one or the other",
    )
  return policy
}

function emulatorPolicyOf({ specs }: Wishes): "isolate" | "share" | null {
  const policy = specs["hw:emulator_threads_policy"]
  if (policy === undefined || policy === "") return null
  if (policy === "isolate" || policy === "share") return policy
  throw badRequest(
    `CPU emulator threads option requested is invalid, given: '${policy}', available: 'isolate, share'.`,
  )
}

/** `resources:PCPU` is the flavor's own way to say that all of them are pinned. */
function cpuResources({ specs }: Wishes): { vcpu: number; pcpu: number } {
  const sum = (name: string) =>
    Object.entries(specs)
      .filter(
        ([key, value]) => new RegExp(`^resources([1-9][0-9]*)?:${name}$`).test(key) && /^\d+$/.test(value),
      )
      .reduce((all, [, value]) => all + Number(value), 0)
  return { vcpu: sum("VCPU"), pcpu: sum("PCPU") }
}

function checkPcpus({ vcpus }: Wishes, pcpus: number, isolatesEmulator: boolean): void {
  if (isolatesEmulator && pcpus !== vcpus + 1)
    throw badRequest(
      "You have requested 'hw:emulator_threads_policy=isolate' but have not requested sufficient PCPUs to handle " +
        "this policy; you must allocate exactly flavor.vcpus + 1 PCPUs.",
    )
  if (!isolatesEmulator && pcpus !== vcpus)
    throw badRequest(
      "There is a mismatch between the number of PCPUs requested via 'resourcesNN:PCPU' and the flavor); you must " +
        "allocate exactly flavor.vcpus PCPUs",
    )
}

/** A mask that only leaves some out is of all the others. */
function maskedCpus(mask: string, vcpus: number): number[] {
  return parseCpus(mask.trim().startsWith("^") ? `0-${vcpus - 1},${mask}` : mask)
}

function dedicatedCpusOf({ specs, vcpus }: Wishes): number[] | null {
  const mask = specs["hw:cpu_dedicated_mask"]
  if (!mask) return null
  const cpus = maskedCpus(mask, vcpus)
  const own = cpus.filter((cpu) => cpu < vcpus)
  if (own.length === 0 || own.length === vcpus)
    throw badRequest(
      "Mixed instance must have at least 1 pinned vCPU and 1 unpinned vCPU. See 'hw:cpu_dedicated_mask'.",
    )
  if (own.length < cpus.length)
    throw badRequest(
      'Mixed instance dedicated vCPU(s) mask is not a subset of vCPUs in the flavor. See "hw:cpu_dedicated_mask"',
    )
  return cpus
}

function realtimeCpusOf(wishes: Wishes): number[] | null {
  const { vcpus, specs } = wishes
  if (!isTrue(specs["hw:cpu_realtime"])) return null
  const { ofFlavor, ofImage } = both(wishes, "hw:cpu_realtime_mask")
  const mask = ofImage ?? ofFlavor
  const cpus = mask === undefined ? parseCpus(`0-${vcpus - 1}`) : maskedCpus(mask, vcpus)
  if (cpus.some((cpu) => cpu >= vcpus))
    throw badRequest(
      "Realtime policy vCPU(s) mask is configured with RT vCPUs that are not a subset of the vCPUs in the flavor. " +
        "See hw:cpu_realtime_mask or hw_cpu_realtime_mask",
    )
  if (cpus.length === 0 || (cpus.length === vcpus && emulatorPolicyOf(wishes) === null))
    throw badRequest(
      "Realtime policy needs vCPU(s) mask configured with at least 1 RT vCPU and 1 ordinary vCPU. See " +
        "hw:cpu_realtime_mask or hw_cpu_realtime_mask",
    )
  return cpus
}
