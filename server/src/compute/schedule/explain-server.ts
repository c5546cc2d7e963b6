// `kumoi explain server`: the scheduler's answer for a server as it would be now, without claiming anything.
import type { Platform } from "../../platform/context/context.ts"
import { readTogether } from "../../platform/db/database.ts"
import { serverNotFound } from "../faults.ts"
import type { ServerFault, VmState } from "../server/server.ts"
import { selectServer } from "../server/store.ts"
import { selectAllHosts } from "./candidates.ts"
import { askedBy } from "./choose.ts"
import {
  countReasons,
  type HostVerdict,
  judgeHosts,
  type ReasonCount,
  reasonForUser,
  reasonText,
  smallestChange,
} from "./explain.ts"
import { schedulerOf } from "./plugins.ts"
import { forcedHostOf, requestOf } from "./request.ts"

export interface ServerExplanation {
  server: { id: string; name: string; state: VmState; host: string | null; fault: ServerFault | null }
  /** What it needs, by resource class. */
  resources: Record<string, number>
  hosts: HostVerdict[]
  /** Beside each the words for it. */
  reasons: (ReasonCount & { text: string })[]
  /** Null: a host would take it, or none can be made to. */
  smallestChange: { host: string; changes: string[] } | null
  /** What its user would read; null while a host would take it. */
  forUser: string | null
}

/** A server that is on a host: what it takes there counts as taken. */
export async function explainServer(platform: Platform, serverId: string): Promise<ServerExplanation> {
  const scheduler = await schedulerOf(platform.config)
  return await readTogether(platform.db, async (tx) => {
    const server = await selectServer(tx, serverId)
    if (!server) throw serverNotFound(serverId)
    const placing = { forcedHost: forcedHostOf(server), excludedHosts: [] }
    const request = await requestOf(platform, tx, server, placing, { isHeld: false })
    const asked = askedBy(scheduler, request)
    const hosts = judgeHosts(await selectAllHosts(platform, tx, asked.needs), request, asked)
    const fits = hosts.some(({ refusals }) => refusals.length === 0)
    const { id, name, vmState, host, fault } = server
    return {
      server: { id, name, state: vmState, host, fault },
      resources: { ...request.resources },
      hosts,
      reasons: countReasons(hosts).map((reason) => ({ ...reason, text: reasonText(reason, hosts.length) })),
      smallestChange: smallestChange(hosts),
      forUser: fits ? null : reasonForUser(hosts, request),
    }
  })
}
