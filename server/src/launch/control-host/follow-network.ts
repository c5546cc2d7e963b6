// A control host that stands by has copies of the network's databases, which follow those of the one that works by
// Open vSwitch's own replication. When it takes over it goes on with them: rows, their ids and the keys of tunnels are
// the same, so that no controller finds the network changed.

import { createServer } from "node:net"
import { join } from "node:path"
import { followedDatabases } from "../../agent/door-protocol.ts"
import { describeError } from "../../platform/fault/fault.ts"
import type { Logger } from "../../platform/log/log.ts"
import { listenOnSocket } from "../../platform/net/unix-socket.ts"
import { joinStreams } from "../../platform/streams/join.ts"
import type { Supervisor } from "../../platform/supervise/supervisor.ts"
import type { CloudDir } from "../cloud-dir.ts"
import { followingDatabase } from "../engines/ovn.ts"
import { ovnPaths } from "../engines/ovn-paths.ts"
import type { DoorClient } from "../joined/door-client.ts"

export interface Following {
  client: DoorClient
  supervisor: Supervisor
  dir: CloudDir
  log: Logger
}

/** The network of this host is set up already, or is about to be. */
export async function followNetwork(
  { client, supervisor, dir, log }: Following,
  stack: AsyncDisposableStack,
): Promise<void> {
  const paths = ovnPaths(dir.facts.cloudId)
  const options = { paths, databaseDir: join(dir.path, "ovn"), logDir: dir.logDir }
  for (const name of followedDatabases) {
    const from = join(paths.runDir, `${name}-works.sock`)
    const relay = createServer((follower) => {
      follower.on("error", () => {}) // told by its end, which follows
      client.openDatabase(name).then(
        (database) => joinStreams(follower, database),
        (error: unknown) => {
          log.debug({ error: describeError(error), database: name }, "a database cannot be followed now")
          follower.destroy()
        },
      )
    })
    stack.use(await listenOnSocket(relay, from))
    await supervisor.start(followingDatabase(options, name, from))
  }
}
