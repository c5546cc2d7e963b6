// A volume of data that are there already: what can be refused is refused in the request, after a look at the host.
import { Type } from "typebox"
import { jsonb, transact } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { insertThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { quotaExceeded } from "../../quota/index.ts"
import {
  hostUnavailable,
  inputInvalid,
  volumeTooLarge,
  volumeTypeInvalid,
  volumeTypeNotFound,
} from "../faults.ts"
import { checkMetadata } from "../metadata.ts"
import { fitsExtraSpecs } from "../pool/capabilities.ts"
import { dataNamed, usablePool } from "../pool/manageable.ts"
import { enforceTypeQuota } from "../quota/of-types.ts"
import { everything } from "../viewer.ts"
import { defaultVolumeType, findVolumeType } from "../volume-type/choose.ts"
import { encryptionOfType } from "../volume-type/encryption.ts"
import { isMultiattachType } from "../volume-type/volume-type.ts"
import { checkOneSize, checkZone } from "./create.ts"
import { manageVolumeSaga } from "./manage.saga.ts"
import { notifyVolume } from "./notification.ts"
import { actorOf } from "./task.ts"
import { volumeNoun } from "./volume.ts"

const nullableText = Type.Union([Type.String({ maxLength: 255 }), Type.Null()])

export const manageVolume = operation({
  name: "block_storage.volume.manage",
  input: Type.Object({
    /** `host@backend` */
    host: Type.String({ maxLength: 511 }),
    /** Of the data. */
    dataName: Type.String({ maxLength: 255 }),
    name: nullableText,
    description: nullableText,
    /** Id or name; null: the default. */
    volumeType: nullableText,
    availabilityZone: nullableText,
    metadata: Type.Record(Type.String(), Type.String()),
    isBootable: Type.Boolean(),
  }),
  faults: [
    hostUnavailable,
    inputInvalid,
    volumeTooLarge,
    volumeTypeInvalid,
    volumeTypeNotFound,
    quotaExceeded,
  ],
  rule: "volume_extension:volume_manage",
  run: async (ctx, { host: named, dataName, volumeType, ...wish }) => {
    const { projectId, userId } = ctx.caller
    if (!projectId) throw inputInvalid("a volume needs a project: use a token with project scope.")
    checkZone(ctx, wish.availabilityZone)
    checkMetadata(wish.metadata)
    const type =
      volumeType === null ? await defaultVolumeType(ctx, projectId) : await findVolumeType(ctx, volumeType)
    if (await encryptionOfType(ctx.db, type.id))
      throw volumeTypeInvalid(
        `Volumes of type ${type.name} are encrypted, and data that are managed are not.`,
      )
    const pool = await usablePool(ctx, ctx.db, named)
    if (!fitsExtraSpecs(pool, type.extraSpecs))
      throw volumeTypeInvalid(`${type.name} asks for another back end than ${pool.id}.`)
    const { sizeGib } = await dataNamed(ctx, pool, dataName)
    return await transact(ctx.db, async (tx) => {
      await checkOneSize(ctx, tx, projectId, sizeGib)
      await enforceTypeQuota(ctx, tx, { projectId, typeId: type.id, add: { volumes: 1, gigabytes: sizeGib } })
      const made = await insertThing(tx, volumeNoun, everything, {
        values: {
          id: newUuid(),
          project_id: projectId,
          user_id: userId,
          name: wish.name,
          description: wish.description,
          size_gib: sizeGib,
          status: "managing",
          volume_type_id: type.id,
          is_multiattach: isMultiattachType(type),
          availability_zone: ctx.config.blockStorage.availabilityZone,
          metadata: jsonb(wish.metadata),
          is_bootable: wish.isBootable,
          created_at: ctx.clock.now(),
        },
      })
      if (!made) throw new Error("the id of a new volume is taken")
      const actor = actorOf(ctx)
      await notifyVolume(ctx, tx, made, "manage_existing.start", actor)
      const { host, backend } = pool
      const params = { volumeId: made.id, generation: made.generation, ...actor, host, backend, dataName }
      await ctx.sagas.start(tx, manageVolumeSaga, params, { requestId: ctx.requestId, resourceId: made.id })
      return made
    })
  },
})
