// Properties of the machine in the hypervisor's words: those of the image, and what the flavor says of the same.
import { badRequest } from "../faults.ts"
import { cpuTopologyOf } from "./cpu-topology.ts"
import { secureBootProperties } from "./secure-boot.ts"
import { serialPortsOf } from "./unmet.ts"
import { both, isTrue, oneOf, type Wishes, wholeNumber } from "./wishes.ts"

export function propertiesOf(wishes: Wishes): Record<string, string> {
  const { image, specs } = wishes
  const { sockets, cores, threads } = cpuTopologyOf(wishes)
  const watchdog = both(wishes, "hw:watchdog_action")
  const isHidden =
    isTrue(specs["hw:hide_hypervisor_id"]) ||
    isTrue(specs.hide_hypervisor_id) ||
    isTrue(image.img_hide_hypervisor_id)
  const { ofFlavor: flavorMenu, ofImage: imageMenu } = both(wishes, "hw:boot_menu")
  const pmu = oneOf(wishes, "hw:pmu")
  // Of these the image's goes before the flavor's, as with Nova.
  const watchdogAction = watchdog.ofImage ?? watchdog.ofFlavor
  return {
    ...image,
    hw_cpu_sockets: String(sockets),
    hw_cpu_cores: String(cores),
    hw_cpu_threads: String(threads),
    hw_boot_menu: String(isTrue(imageMenu ?? flavorMenu)),
    hw_serial_port_count: String(serialPortsOf(wishes)),
    ...(watchdogAction !== undefined && { hw_watchdog_action: watchdogAction }),
    ...(isHidden && { img_hide_hypervisor_id: "true" }),
    ...(image.hw_time_hpet !== undefined && { hw_time_hpet: String(isTrue(image.hw_time_hpet)) }),
    ...(pmu !== undefined && { hw_pmu: String(isTrue(pmu)) }),
    ...secureBootProperties(wishes),
    ...addressBits(wishes),
    ...randomOf(wishes),
  }
}

/** Of what an x86 can have; QEMU takes no others. */
const addressSizes = { least: 32, most: 52 }
const rates = { least: 1, most: Number.MAX_SAFE_INTEGER }
/** Milliseconds, as QEMU keeps them. */
const periods = { least: 1, most: 4_294_967_295 }

function bounded(name: string, text: string, { least, most }: { least: number; most: number }): number {
  const value = wholeNumber(name, text)
  if (value >= least && value <= most) return value
  throw badRequest(`Invalid input for ${name}: ${text} is not between ${least} and ${most}.`)
}

function addressBits(wishes: Wishes): Record<string, string> {
  const mode = oneOf(wishes, "hw:maxphysaddr_mode")
  const bits = oneOf(wishes, "hw:maxphysaddr_bits")
  if (bits !== undefined && mode !== "emulate")
    throw badRequest("hw:maxphysaddr_bits is only of use with hw:maxphysaddr_mode 'emulate'.")
  if (mode === "emulate" && bits === undefined)
    throw badRequest("hw:maxphysaddr_mode 'emulate' needs hw:maxphysaddr_bits.")
  return {
    ...(mode !== undefined && { hw_maxphysaddr_mode: mode }),
    ...(bits !== undefined && {
      hw_maxphysaddr_bits: String(bounded("hw:maxphysaddr_bits", bits, addressSizes)),
    }),
  }
}

/** A guest has a source of random numbers unless its flavor says that it may not. */
function randomOf({ specs }: Wishes): Record<string, string> {
  const bytes = specs["hw_rng:rate_bytes"]
  const period = specs["hw_rng:rate_period"]
  const allowed = specs["hw_rng:allowed"]
  if (allowed !== undefined && !isTrue(allowed)) return { hw_rng_model: "none" }
  // None is no limit.
  if (!bytes || wholeNumber("hw_rng:rate_bytes", bytes) === 0) return {}
  return {
    hw_rng_rate_bytes: String(bounded("hw_rng:rate_bytes", bytes, rates)),
    hw_rng_rate_period: String(
      period && wholeNumber("hw_rng:rate_period", period) !== 0
        ? bounded("hw_rng:rate_period", period, periods)
        : 1_000,
    ),
  }
}
