// The hosts whose caches can be asked: those that have reported lately.
import { sql } from "kysely"
import type { Platform } from "../../platform/context/context.ts"

type Where = Pick<Platform, "db" | "clock">

/** A host reports more often; what is written down need not be newer than this. */
const writtenEveryMs = 20_000
/** Some reports may be missed. */
const liveForMs = 90_000
const forgottenAfterMs = 24 * 3_600_000

export async function noteCacheHosts({ db, clock }: Where, hosts: readonly string[]): Promise<void> {
  if (hosts.length === 0) return
  const now = clock.now()
  const old = new Date(now.getTime() - writtenEveryMs)
  await sql`insert into image.cache_host (host, seen_at)
    select distinct host, ${now}::timestamptz from unnest(${[...hosts]}::text[]) as host order by host
    on conflict (host) do update set seen_at = excluded.seen_at where image.cache_host.seen_at < ${old}`.execute(
    db,
  )
}

export async function liveCacheHosts({ db, clock }: Where): Promise<string[]> {
  const since = new Date(clock.now().getTime() - liveForMs)
  const rows = db.selectFrom("image.cache_host").select("host").where("seen_at", ">", since).orderBy("host")
  return (await rows.execute()).map(({ host }) => host)
}

export async function forgetCacheHosts({ db, clock }: Where): Promise<void> {
  const before = new Date(clock.now().getTime() - forgottenAfterMs)
  await db.deleteFrom("image.cache_host").where("seen_at", "<", before).execute()
}
