// What others tell of a server. The network and the hosts of this cloud report on their own, so an event from outside
// is only a reason to look again at what it is about.
import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { noServerForEvents } from "../faults.ts"
import { syncMachine } from "./power-sync.ts"
import { takeExtended } from "./volume-extended.ts"

const Event = Type.Object({
  name: Type.String(),
  serverId: Type.String(),
  /** `POWER_ON` or `POWER_OFF` of a power update; the volume that has grown. */
  tag: Type.Union([Type.String(), Type.Null()]),
})

/** In HTTP's numbers, which Nova's answer has for each event. */
export type EventVerdict = 200 | 400 | 404 | 422

const powers = { POWER_ON: "running", POWER_OFF: "shutdown" } as const

/** They say nothing without what they are about. */
const needTag: ReadonlySet<string> = new Set(["volume-extended", "power-update", "accelerator-request-bound"])

export const takeServerEvents = operation({
  name: "compute.server.external_event",
  input: Type.Object({ events: Type.Array(Event) }),
  faults: [noServerForEvents],
  rule: "os_compute_api:os-server-external-events:create",
  run: async (ctx, { events }): Promise<EventVerdict[]> => {
    const hosts = await hostsOf(
      ctx,
      events.map((event) => event.serverId),
    )
    const verdicts: EventVerdict[] = []
    for (const { name, serverId, tag } of events) {
      const host = hosts.get(serverId)
      const power = Object.entries(powers).find(([word]) => word === tag)?.[1]
      if (host === undefined) verdicts.push(404)
      else if (host === null) verdicts.push(422)
      else if (tag === null && needTag.has(name)) verdicts.push(400)
      else if (name === "volume-extended") {
        await takeExtended(ctx, serverId, host, tag ?? "")
        verdicts.push(200)
      } else if (name !== "power-update") verdicts.push(200)
      else if (power === undefined) verdicts.push(400)
      else {
        await syncMachine(ctx, host, serverId, { power })
        verdicts.push(200)
      }
    }
    if (!verdicts.includes(200)) throw noServerForEvents()
    return verdicts
  },
})

async function hostsOf(ctx: Ctx, serverIds: readonly string[]): Promise<Map<string, string | null>> {
  const ids = serverIds.filter((id) => isUuid(id))
  const { rows } = await sql<{ id: string; host: string | null }>`select id, host from compute.server
    where id = any(${ids}::uuid[]) and deleted_at is null`.execute(ctx.db)
  return new Map(rows.map((row) => [row.id, row.host]))
}
