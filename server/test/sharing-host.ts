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
import { SharedFiles } from "./shared-files.ts"

export const sharedRoomGib = 8

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
    new SharedFiles(join(at.scratch, "nas"), { name: nas, host, share: "nfs:one", roomGib: sharedRoomGib }),
    new SharedFiles(join(at.scratch, "odd"), { name: "odd", host, roomGib: sharedRoomGib }),
    new FileVolumeDriver(join(dataDir, "own"), { name: "own" }),
  ]
  const agent = await startMemberAgent({
    ...{ membership, dataDir, client: at.clientOf(membership), log: silentLogger, clock: systemClock },
    parts: { hypervisor, ports: new FakePlugger(), metadata: null, imageCacheBytes: null, volumes },
  })
  return { agent, hypervisor, membership }
}
