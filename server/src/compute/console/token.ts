// Tokens to consoles: whoever has one sees the machine. Only their hashes are kept.
import { createHash } from "node:crypto"
import type { ConsoleKind } from "../../agent/protocol.ts"
import type { Platform } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import { newSecret } from "../../platform/ids/ids.ts"
import { consoleKindOfType, consoleTypes } from "./type.ts"
import "./config.ts"

export interface ConsolePlace {
  serverId: string
  host: string
  kind: ConsoleKind
}

const tokenBytes = 32

/** Takes away those that are over as well. */
export async function issueConsoleToken(platform: Platform, place: ConsolePlace): Promise<string> {
  const { db, clock, config } = platform
  const token = newSecret(tokenBytes)
  const now = clock.now()
  await db.deleteFrom("compute.console_token").where("expires_at", "<=", now).execute()
  await db
    .insertInto("compute.console_token")
    .values({
      token_hash: hashOf(token),
      server_id: place.serverId,
      host: place.host,
      console_type: consoleTypes[place.kind],
      created_at: now,
      expires_at: new Date(now.getTime() + config.console.tokenLifeMs),
    })
    .execute()
  return token
}

/** Undefined: it is none, is over, or its server is not where it was. */
export async function findConsolePlace(
  { db, clock }: Pick<Platform, "db" | "clock">,
  token: string,
): Promise<ConsolePlace | undefined> {
  const found = await db
    .selectFrom("compute.console_token as token")
    .innerJoin("compute.server as server", "server.id", "token.server_id")
    .select(["token.server_id as serverId", "token.host as host", "token.console_type as type"])
    .where("token.token_hash", "=", hashOf(token))
    .where("token.expires_at", ">", clock.now())
    .where("server.deleted_at", "is", null)
    .whereRef("server.host", "=", "token.host")
    .executeTakeFirst()
  const kind = found && consoleKindOfType(found.type)
  return found && kind && { serverId: found.serverId, host: found.host, kind }
}

/** Where these servers are now; deleted ones are nowhere. */
export async function selectServerHosts(
  db: DbOrTx,
  serverIds: readonly string[],
): Promise<Map<string, string | null>> {
  if (serverIds.length === 0) return new Map()
  const rows = await db
    .selectFrom("compute.server")
    .select(["id", "host"])
    .where("id", "in", [...serverIds])
    .where("deleted_at", "is", null)
    .execute()
  return new Map(rows.map(({ id, host }) => [id, host]))
}

function hashOf(token: string): Buffer {
  return createHash("sha256").update(token).digest()
}
