// Which machines a host may start that ran before it was off: those of servers that are its own, and that nobody takes
// away from it just now. Asking is a sign of life, noted in the same transaction: whoever would take a server away from
// the host after that finds it up (evacuate.saga.ts), and whoever was first is seen here.
import { sql } from "kysely"
import { Type } from "typebox"
import {
  type StartRights,
  type StartRightsAsked,
  startRightsMost,
  startRightsTopic,
} from "../../agent/protocol.ts"
import type { Platform } from "../../platform/context/context.ts"
import { transact } from "../../platform/db/database.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { knownPart } from "../../platform/schema/known.ts"
import { nullable } from "../../platform/schema/make.ts"
import { badRequest } from "../faults.ts"
import { isEvacuating } from "../migration/migration.ts"
import { selectEvacuations } from "../migration/store.ts"
import { touchHost } from "./store.ts"

const Asked = Type.Object({
  serverIds: Type.Array(Type.String(), { maxItems: startRightsMost }),
  epochId: nullable(Type.String()),
})

/** Questions of hosts at a time: all of them may start at once. */
const concurrency = 16

/** Until disposed. */
export async function answerStartRights(platform: Platform): Promise<AsyncDisposable> {
  return await platform.bus.serve(
    startRightsTopic,
    async (host, question) => {
      const asked = knownPart(Asked, question)
      if (!asked?.serverIds.every(isUuid)) throw badRequest("That is no question about machines to start.")
      return await startRightsOf(platform, host, asked)
    },
    { concurrency },
  )
}

export async function startRightsOf(
  platform: Platform,
  host: string,
  { serverIds, epochId }: StartRightsAsked,
): Promise<StartRights> {
  // What was made since the backup that was restored is kept, and runs, until an operator has said what it is.
  const keepsUnknown = epochId !== null && epochId !== platform.epoch.id
  const { rights, wasSilent } = await transact(platform.db, async (tx) => {
    const found = await touchHost(tx, host)
    const { rows } = await sql<{ id: string; isOwn: boolean }>`
      select id, coalesce(host = ${host}, false) and deleted_at is null as "isOwn" from compute.server
      where id = any(${[...serverIds]}::uuid[])`.execute(tx)
    const known = new Map(rows.map(({ id, isOwn }) => [id, isOwn]))
    const isOwn = (id: string) => known.get(id) ?? keepsUnknown
    const underWay = (await selectEvacuations(tx, host)).filter(({ status }) => isEvacuating(status))
    const evacuated = new Set(underWay.map(({ serverId }) => serverId))
    // An operator has said that it is down: its servers may go elsewhere at any time.
    const mayStart = found?.isForcedDown !== true
    return {
      wasSilent: found?.wasSilent ?? false,
      rights: {
        start: mayStart ? serverIds.filter((id) => isOwn(id) && !evacuated.has(id)) : [],
        leave: serverIds.filter((id) => !isOwn(id)),
      },
    }
  })
  // Its next report finds that it was not silent.
  if (wasSilent) await platform.sagas.wake(platform.db)
  return rights
}
