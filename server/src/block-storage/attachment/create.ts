import { Type } from "typebox"
import { transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { giveToInitiator } from "../connection/foreign.ts"
import { inputInvalid, volumeInvalid, volumeNotFound } from "../faults.ts"
import { targetOf } from "../viewer.ts"
import { visibleVolume } from "../volume/read.ts"
import { Connector, checkConnector, connect, hold, hostIn } from "./hold.ts"

export const createAttachment = operation({
  name: "block_storage.attachment.create",
  input: Type.Object({
    volumeId: Type.String(),
    serverId: Type.Union([Type.String(), Type.Null()]),
    mode: Type.Union([Type.Literal("rw"), Type.Literal("ro")]),
    /** How it reaches the volume, when that is known; null: it is only reserved. */
    connector: Type.Union([Connector, Type.Null()]),
  }),
  faults: [volumeNotFound, volumeInvalid, inputInvalid],
  load: (ctx, { volumeId }) => visibleVolume(ctx, volumeId),
  rule: "volume:attachment_create",
  target: (_ctx, _input, volume) => targetOf(volume),
  run: async (ctx, { volumeId, serverId, mode, connector }) => {
    if (connector !== null) checkConnector(connector)
    const attachment = await transact(ctx.db, async (tx) => {
      const holder = {
        serverId,
        mode,
        connector,
        host: hostIn(connector),
        device: null,
        status: "reserved",
      } as const
      const made = await hold(ctx, tx, volumeId, "reserve", holder)
      return connector === null ? made : await connect(ctx, tx, made, connector)
    })
    const connection = connector === null ? null : await giveToInitiator(ctx, volumeId, connector)
    return { ...attachment, connection }
  },
})
