// A volume for a machine outside of the cloud, by the old calls: whoever has reserved it says which initiator is to
// reach it. Only back ends that other hosts reach over a network give theirs; those who have any other look after that
// themselves.
import { sql } from "kysely"
import { Type } from "typebox"
import type { VolumeConnection } from "../../agent/protocol.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { type Tx, transact } from "../../platform/db/database.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { callAgent, unlessOvertaken } from "../agent-call.ts"
import { Connector, checkConnector, hostIn, lockForeignAttachments } from "../attachment/hold.ts"
import { attachmentOfServer, inputInvalid, volumeInvalid, volumeNotFound } from "../faults.ts"
import { targetOf } from "../viewer.ts"
import { visibleVolume } from "../volume/read.ts"
import { selectVolume } from "../volume/store.ts"
import type { Volume } from "../volume/volume.ts"

export interface ForeignConnection {
  volume: Volume
  connection: GivenVolume
}

/** `isEncrypted`: what is given is LUKS, and its key is not. */
export type GivenVolume = VolumeConnection & { isEncrypted: boolean }

/** RFC 7143's kinds of names, of letters that have no meaning anywhere else. */
const initiatorForm = /^(iqn|eui|naa)\.[A-Za-z0-9][A-Za-z0-9.:-]{0,210}$/
/** Somebody has said that he takes it; otherwise anybody else might at any time. */
const takenStatuses: ReadonlySet<string> = new Set(["reserved", "attaching", "in-use"])

export const initializeConnection = operation({
  name: "block_storage.volume.initialize_connection",
  input: Type.Object({ id: Type.String(), connector: Connector }),
  faults: [volumeNotFound, volumeInvalid, inputInvalid, attachmentOfServer],
  load: (ctx, { id }) => visibleVolume(ctx, id),
  rule: "volume_extension:volume_actions:initialize_connection",
  target: (_ctx, _input, volume) => targetOf(volume),
  run: async (ctx, { id, connector }, volume): Promise<ForeignConnection> => {
    checkConnector(connector)
    if (initiatorIn(connector) === null)
      throw inputInvalid(
        "connector: initiator is the name of an iSCSI initiator, as iqn.2026-01.org.example:host.",
      )
    const connection = await giveToInitiator(ctx, id, connector)
    if (!connection)
      throw volumeInvalid(`The back end of volume ${id} gives none to machines outside of the cloud.`)
    return { volume, connection }
  },
})

/** Null: its back end gives none, or the connector names no initiator. */
export async function giveToInitiator(
  ctx: Ctx,
  volumeId: string,
  connector: Connector,
): Promise<GivenVolume | null> {
  const initiator = initiatorIn(connector)
  if (initiator === null) return null
  const wish = { host: hostIn(connector) ?? "", initiator }
  const place = await transact(ctx.db, (tx) => note(tx, volumeId, wish))
  if (!place) return null
  const { backend, generation, hold, isEncrypted } = place
  try {
    const command = { volumeId, backend, ...wish, hold, fence: { generation, fence: 0 } }
    return { ...(await callAgent(ctx, place.host, "volume.connect", command)), isEncrypted }
  } catch (error) {
    // Somebody has it open.
    if (error instanceof Fault && error.kind === "conflict") throw volumeInvalid(error.message)
    throw error
  }
}

function initiatorIn({ initiator }: Connector): string | null {
  return typeof initiator === "string" && initiatorForm.test(initiator) ? initiator : null
}

export const terminateConnection = operation({
  name: "block_storage.volume.terminate_connection",
  input: Type.Object({ id: Type.String(), connector: Type.Union([Connector, Type.Null()]) }),
  faults: [volumeNotFound, inputInvalid, attachmentOfServer],
  load: (ctx, { id }) => visibleVolume(ctx, id),
  rule: "volume_extension:volume_actions:terminate_connection",
  target: (_ctx, _input, volume) => targetOf(volume),
  run: async (ctx, { id, connector }, { host, backend }): Promise<void> => {
    if (connector) checkConnector(connector)
    const found = await transact(ctx.db, async (tx) => {
      await lockForeignAttachments(tx, id)
      return await tx
        .selectFrom("block_storage.connection")
        .select(["initiator", "generation"])
        .where("volume_id", "=", id)
        .where("initiator", "is not", null)
        .executeTakeFirst()
    })
    // Another one's stays.
    const isMeant = !connector?.initiator || connector.initiator === found?.initiator
    if (!found || !isMeant || host === null || backend === null) return
    const { generation } = found
    const command = { volumeId: id, backend, fence: { generation, fence: 0 } }
    await unlessOvertaken(callAgent(ctx, host, "volume.disconnect", command))
    await ctx.db
      .deleteFrom("block_storage.connection")
      .where("volume_id", "=", id)
      .where("generation", "=", generation)
      .execute()
  },
})

async function note(tx: Tx, volumeId: string, { host, initiator }: { host: string; initiator: string }) {
  await lockForeignAttachments(tx, volumeId)
  const volume = await selectVolume(tx, volumeId)
  if (!volume) throw volumeNotFound(volumeId)
  if (!takenStatuses.has(volume.status))
    throw volumeInvalid(
      `Volume ${volumeId} must be reserved for whoever is to reach it; it is ${volume.status}.`,
    )
  const { rows } = await sql<{
    host: string
    backend: string
    generation: number
    hold: string
    isEncrypted: boolean
  }>`with place as (
      select p.host, p.backend from block_storage.pool p
        where p.host = ${volume.host} and p.backend = ${volume.backend} and p.connects is not null),
    noted as (insert into block_storage.connection as c (volume_id, host, initiator, hold, generation)
      select ${volumeId}::uuid, ${host}::text, ${initiator}::text, ${newUuid()}::uuid,
        nextval('block_storage.connection_generation') from place
      on conflict (volume_id) do update set host = excluded.host, initiator = excluded.initiator,
        hold = coalesce(c.hold, excluded.hold), generation = excluded.generation
      returning generation::float8 as generation, hold)
    select place.host, place.backend, noted.generation, noted.hold,
        exists (select from block_storage.volume_key where volume_id = ${volumeId}) as "isEncrypted" from place, noted`.execute(
    tx,
  )
  return rows[0]
}
