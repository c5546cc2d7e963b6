import { sql } from "kysely"
import type { Platform } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { isHostUp } from "./host.ts"
import { selectHost } from "./store.ts"

/** Whether commands to the host can be expected to arrive. What is left on a dead host, the reconciler of machines removes when it is back. */
export async function isHostReachable(platform: Platform, name: string): Promise<boolean> {
  const host = await selectHost(platform.db, name)
  return host !== undefined && isHostUp(host, platform.config.compute.serviceDownAfterMs)
}

/** The same, and nobody notes a sign of life of the host, or that it is down, before the transaction ends. */
export async function isHostReachableHeld(
  { config }: Pick<Platform, "config">,
  tx: Tx,
  name: string,
): Promise<boolean> {
  await sql`select from compute.host where name = ${name} for share`.execute(tx)
  const host = await selectHost(tx, name)
  return host !== undefined && isHostUp(host, config.compute.serviceDownAfterMs)
}
