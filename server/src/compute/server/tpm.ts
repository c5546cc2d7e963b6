// Servers with a TPM of their own. What it holds is encrypted with a key that the cloud keeps sealed and gives to the
// host alone that has the server, when its process starts: as Nova's secrets of the kind `deployment`, which let a guest
// start without its user. It lives as long as the server.
import { randomBytes } from "node:crypto"
import { sql } from "kysely"
import { openLasting, sealLasting } from "../../identity/index.ts"
import type { Platform } from "../../platform/context/context.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { serverTpmKeyRefused } from "../faults.ts"
import { keptHardware } from "../guest-hardware/hardware.ts"
import { keptImage } from "./image.ts"
import type { Server } from "./server.ts"
import type { ActionName } from "./state.ts"

/** AES-256. */
const keyBytes = 32

/** Action → what Nova calls it. What a TPM holds would be lost in it, or stay behind. */
export const refusedWithTpm: ReadonlyMap<ActionName, string> = new Map<ActionName, string>([
  ["rebuild", "rebuild"],
  ["shelve", "shelve"],
  ["rescue", "rescue"],
  ["evacuate", "evacuate"],
  ["migrateLive", "live-migration"],
])

export function hasTpm({ flavor, systemMetadata }: Pick<Server, "flavor" | "systemMetadata">): boolean {
  return keptHardware(flavor, keptImage(systemMetadata)).machine?.tpm !== undefined
}

const placeOf = (serverId: string) => `tpm/${serverId}`

/** In base64. For the host that has the server, or to which it is going; made when it is asked for first. */
export async function openTpmKey(
  platform: Platform,
  { host, serverId }: { host: string; serverId: string },
): Promise<string> {
  if (!isUuid(serverId)) throw serverTpmKeyRefused(serverId)
  const sealed = sealLasting(platform, placeOf(serverId), randomBytes(keyBytes).toString("base64"))
  const { rows } = await sql<{ sealed: string }>`
    with allowed as (
      select s.id from compute.server s
      where s.id = ${serverId} and s.deleted_at is null and (s.host = ${host} or exists (
        select from compute.migration m
        where m.number = (select max(number) from compute.migration where server_id = s.id)
          and m.dest_host = ${host} and m.status = 'migrating'))
    ), made as (
      insert into compute.tpm_key (server_id, sealed) select id, ${sealed} from allowed
      on conflict (server_id) do update set sealed = compute.tpm_key.sealed returning sealed
    )
    select sealed from made`.execute(platform.db)
  const found = rows[0] && openLasting(platform, placeOf(serverId), rows[0].sealed)
  if (!found) throw serverTpmKeyRefused(serverId)
  return found
}
