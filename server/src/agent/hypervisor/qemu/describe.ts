// What this host gives machines, as its agent reports it.
import { readHostFacts } from "../host-facts.ts"
import type { HypervisorDescription } from "../hypervisor.ts"
import { readQemuVersion } from "./accelerator.ts"
import type { Firmware } from "./firmware.ts"
import { readHostPages } from "./host-pages.ts"
import type { QemuOptions } from "./options.ts"
import { findTpmVersions } from "./tpm.ts"
import type { TuneHow } from "./tune.ts"

let version: string | undefined
let tpmVersions: Awaited<ReturnType<typeof findTpmVersions>> | undefined

export async function describeHost(
  { host, hostIp, vmsDir, accelerator }: QemuOptions,
  { cpus, groups, firmware }: Omit<TuneHow, "vmsDir"> & { firmware: Firmware | null },
): Promise<HypervisorDescription> {
  version ??= await readQemuVersion()
  const [major = 0, minor = 0, micro = 0] = version.split(".").map(Number)
  const hasSecureBoot = firmware?.secure !== undefined
  tpmVersions ??= await findTpmVersions()
  const facts = await readHostFacts(vmsDir)
  const dedicatedCpus = cpus.dedicated.length
  return {
    ...{ host, hostIp, hypervisorType: "QEMU" },
    hypervisorVersion: major * 1_000_000 + minor * 1_000 + micro,
    ...facts,
    vcpus: facts.vcpus - dedicatedCpus,
    guestHardware: {
      cpuLimitsProblem: groups.problem,
      pages: readHostPages(),
      dedicatedCpus,
      hasSecureBoot,
      tpmVersions,
    },
    abilities: {
      liveMigration: true,
      pause: true,
      suspend: true,
      hotplugVif: true,
      snapshot: true,
      accelerator,
    },
  }
}
