// A volume for a machine outside of the cloud, by the old calls: whoever has reserved it says which initiator is to
// reach it. Only back ends that other hosts reach over a network give theirs; those who have any other look after that
// themselves.
import { sql } from "kysely"
import { Type } from "typebox"
import type { VolumeConnection } from "../../agent/protocol.ts"
import { type Tx, transact } from "../../platform/db/database.ts"
import { Fault } from "../../platform/fault/fault.ts"
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
  connection: VolumeConnection
}

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
  run: async (ctx, { id, connector }): Promise<ForeignConnection> => {
    checkConnector(connector)
    const { initiator } = connector
    if (typeof initiator !== "string" || !initiatorForm.test(initiator))
      throw inputInvalid(
        "connector: initiator is the name of an iSCSI initiator, as iqn.2026-01.org.example:host.",
      )
    const wish = { host: hostIn(connector) ?? "", initiator }
    const { volume, place, generation } = await transact(ctx.db, (tx) => note(tx, id, wish))
    const command = { volumeId: id, backend: place.backend, ...wish, fence: { generation, fence: 0 } }
    try {
      return { volume, connection: await callAgent(ctx, place.host, "volume.connect", command) }
    } catch (error) {
      // Somebody has it open.
      if (error instanceof Fault && error.kind === "conflict") throw volumeInvalid(error.message)
      throw error
    }
  },
})

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
  const { rows } = await sql<{ host: string; backend: string; generation: number }>`with place as (
      select p.host, p.backend from block_storage.pool p
        where p.host = ${volume.host} and p.backend = ${volume.backend} and p.connects is not null),
    noted as (insert into block_storage.connection (volume_id, host, initiator, generation)
      select ${volumeId}::uuid, ${host}::text, ${initiator}::text, nextval('block_storage.connection_generation') from place
      on conflict (volume_id) do update set host = excluded.host, initiator = excluded.initiator,
        generation = excluded.generation
      returning generation::float8 as generation)
    select place.host, place.backend, noted.generation from place, noted`.execute(tx)
  const [place] = rows
  if (!place)
    throw volumeInvalid(`The back end of volume ${volumeId} gives none to machines outside of the cloud.`)
  return { volume, place, generation: place.generation }
}
