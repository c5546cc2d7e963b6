// A joined host whose back end `san` is files that machines of others reach by a real tgtd; its machines are simulated.
import { chmodSync } from "node:fs"
import { join } from "node:path"
import { FakeHypervisor } from "../src/agent/hypervisor/fake/fake.ts"
import { FakePlugger } from "../src/agent/ports/fake-plugger.ts"
import { FileVolumeDriver } from "../src/agent/volumes/file-driver.ts"
import { IscsiVolumeDriver } from "../src/agent/volumes/iscsi-driver.ts"
import { tgtdEngine } from "../src/launch/engines/tgtd.ts"
import { type MemberAgent, startMemberAgent } from "../src/launch/joined/member-agent.ts"
import type { Membership } from "../src/launch/joined/membership.ts"
import { systemClock } from "../src/platform/clock/clock.ts"
import { silentLogger } from "../src/platform/log/log.ts"
import type { Supervisor } from "../src/platform/supervise/supervisor.ts"
import type { HostsCloud } from "./hosts-cloud.ts"

const user = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : null

/** `portal`: where its tgtd listens; null: it has no volumes of that back end, and reaches those of others. */
export async function startIscsiHost(
  at: HostsCloud,
  supervisor: Supervisor,
  membership: Membership,
  portal: string | null,
): Promise<MemberAgent> {
  const { name: host, address: hostIp } = membership
  const dataDir = join(at.scratch, host)
  chmodSync(dataDir, 0o711)
  const hypervisor = new FakeHypervisor({
    ...{ host, hostIp, dir: join(dataDir, "agent/fake"), clock: systemClock },
    capacity: { vcpus: 8, ramMib: 16_384, diskGib: 100 },
  })
  const san = new IscsiVolumeDriver({
    ...{ name: "san", directory: join(dataDir, "san"), reachedDir: join(dataDir, "reached") },
    target: portal === null ? null : { portal, user, socketPath: join(at.scratch, "tgt/ctl") },
  })
  if (portal !== null)
    await supervisor.start(tgtdEngine({ driver: san, logDir: at.scratch, log: silentLogger }))
  const volumes = [san, new FileVolumeDriver(join(dataDir, "own"), { name: "own" })]
  return await startMemberAgent({
    ...{ membership, dataDir, client: at.clientOf(membership), log: silentLogger, clock: systemClock },
    parts: { hypervisor, ports: new FakePlugger(), metadata: null, imageCacheBytes: null, volumes },
  })
}
