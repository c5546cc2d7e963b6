// A joined host in a process of its own, with simulated machines: it dies by SIGKILL before or after the call of its
// drivers that it is told, and tells which calls there were.
//
//   node dying-host.ts DATA-DIR
import { join } from "node:path"
import { FakeHypervisor } from "../src/agent/hypervisor/fake/fake.ts"
import { agentDirectories } from "../src/agent/machine-store.ts"
import { FakePlugger } from "../src/agent/ports/fake-plugger.ts"
import { FileVolumeDriver } from "../src/agent/volumes/file-driver.ts"
import { DoorClient } from "../src/launch/joined/door-client.ts"
import { startMemberAgent } from "../src/launch/joined/member-agent.ts"
import { readMembership } from "../src/launch/joined/membership.ts"
import { systemClock } from "../src/platform/clock/clock.ts"
import { silentLogger } from "../src/platform/log/log.ts"

/** From now on, counted from 1; with 0 it lives. */
export interface Death {
  atCall: number
  when: "before" | "after"
}

export type Told = { isReady: true } | { call: string }

/** They change nothing, or are called all the time. */
const looks = ["describe", "inspect", "events", "consoleLog", "list", "commandPrefix", "capacity", "open"]

let death: Death = { atCall: 0, when: "before" }
let calls = 0
const tell = (told: Told) => process.send?.(told)

function mortal<T extends object>(of: string, driver: T): T {
  return new Proxy(driver, {
    get(target, name) {
      const found: unknown = Reflect.get(target, name, target)
      if (typeof found !== "function") return found
      if (typeof name !== "string" || looks.includes(name)) return found.bind(target)
      return (...args: unknown[]) => {
        // Others may begin before this one ends.
        const own = ++calls
        tell({ call: `${of}.${name}` })
        const dies = (when: Death["when"]) => own === death.atCall && death.when === when
        if (dies("before")) process.kill(process.pid, "SIGKILL")
        const result: unknown = found.apply(target, args)
        if (!(result instanceof Promise)) return result
        return result.then((value: unknown) => {
          if (dies("after")) process.kill(process.pid, "SIGKILL")
          return value
        })
      }
    },
  })
}

if (process.argv[1] === import.meta.filename) {
  const [dataDir = ""] = process.argv.slice(2)
  const membership = readMembership(dataDir)
  if (!membership) throw new Error(`${dataDir} is no joined host's`)
  const { name, address, door } = membership
  const hypervisor = new FakeHypervisor({
    ...{ host: name, hostIp: address, dir: join(dataDir, "agent/fake"), clock: systemClock },
    capacity: { vcpus: 8, ramMib: 16_384, diskGib: 100 },
  })
  const volumes = new FileVolumeDriver(join(agentDirectories(dataDir).volumes, "file"))
  await startMemberAgent({
    ...{
      membership,
      dataDir,
      client: new DoorClient({ door, dataDir }),
      log: silentLogger,
      clock: systemClock,
    },
    parts: {
      hypervisor: mortal("hypervisor", hypervisor),
      ports: mortal("ports", new FakePlugger()),
      volumes: [mortal("volumes", volumes)],
      ...{ metadata: null, imageCacheBytes: null },
    },
  })
  process.on("message", (told: Death) => {
    death = told
    calls = 0
  })
  process.on("disconnect", () => process.exit())
  tell({ isReady: true })
}
