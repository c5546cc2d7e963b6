// Hosts that join a test cloud and reach one storage: real files and real agents, machines are simulated.
import { join } from "node:path"
import { FakeHypervisor } from "../src/agent/hypervisor/fake/fake.ts"
import { FakePlugger } from "../src/agent/ports/fake-plugger.ts"
import { FileVolumeDriver } from "../src/agent/volumes/file-driver.ts"
import { type MemberAgent, startMemberAgent } from "../src/launch/joined/member-agent.ts"
import type { Membership } from "../src/launch/joined/membership.ts"
import { systemClock } from "../src/platform/clock/clock.ts"
import { silentLogger } from "../src/platform/log/log.ts"
import type { HostsCloud } from "./hosts-cloud.ts"

const gib = 1024 ** 3
export const sharedRoomGib = 8

/** As the driver of `nfs`, without a mount. */
class SharedFiles extends FileVolumeDriver {
  override readonly abilities = {
    ...{ thinProvisioning: true, onlineExtend: true, shared: true },
    ...{ consistentGroups: true, multiAttach: true },
    protocol: "nfs",
  }
  readonly #share: string | undefined

  constructor(dir: string, { name, host, share }: { name: string; host: string; share?: string }) {
    super(dir, { name, temporary: `@${host}.tmp` })
    this.#share = share
  }

  override async capacity() {
    const bytes = { totalBytes: sharedRoomGib * gib, freeBytes: sharedRoomGib * gib }
    return this.#share === undefined ? bytes : { ...bytes, share: this.#share }
  }
}

export interface SharingHost {
  agent: MemberAgent
  hypervisor: FakeHypervisor
  membership: Membership
}

/** With the back ends `nas`, which all of them have, `odd`, which is the same for all and does not say so, and `own`. */
export async function startSharingHost(
  at: HostsCloud,
  host: string,
  /** As this host calls it. */
  nas = "nas",
): Promise<SharingHost> {
  const membership = await at.joinAs(host)
  const dataDir = join(at.scratch, host)
  const hypervisor = new FakeHypervisor({
    ...{ host, hostIp: membership.address, dir: join(dataDir, "agent/fake"), clock: systemClock },
    capacity: { vcpus: 8, ramMib: 16_384, diskGib: 100 },
  })
  const volumes = [
    new SharedFiles(join(at.scratch, "nas"), { name: nas, host, share: "nfs:one" }),
    new SharedFiles(join(at.scratch, "odd"), { name: "odd", host }),
    new FileVolumeDriver(join(dataDir, "own"), { name: "own" }),
  ]
  const agent = await startMemberAgent({
    ...{ membership, dataDir, client: at.clientOf(membership), log: silentLogger, clock: systemClock },
    parts: { hypervisor, ports: new FakePlugger(), metadata: null, imageCacheBytes: null, volumes },
  })
  return { agent, hypervisor, membership }
}
