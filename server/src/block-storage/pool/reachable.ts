import type { Platform } from "../../platform/context/context.ts"
import type { Place } from "./place.ts"

/** Whether commands to the host can be expected to arrive. */
export async function isPlaceReachable(
  { db, clock, config }: Pick<Platform, "db" | "clock" | "config">,
  { host, backend }: Place,
): Promise<boolean> {
  const pool = await db
    .selectFrom("block_storage.pool")
    .select("reported_at")
    .where("host", "=", host)
    .where("backend", "=", backend)
    .executeTakeFirst()
  return (
    pool !== undefined &&
    clock.now().getTime() - pool.reported_at.getTime() < config.blockStorage.poolDownAfterMs
  )
}
