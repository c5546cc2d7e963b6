// Which volume types have which QoS specs: a type has one at the most.
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { type DbOrTx, type Tx, transact } from "../../platform/db/database.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { inputInvalid, qosSpecsNotFound, volumeTypeInvalid, volumeTypeNotFound } from "../faults.ts"
import { notifyQosSpecs } from "./notification.ts"
import { loadQosSpecs, lockQosSpecs } from "./read.ts"

const OfType = Type.Object({ id: Type.String(), typeId: Type.String() })

export interface Association {
  id: string
  name: string
}

/** In the order of their making; no more than `limit`. */
export async function typesOfQosSpecs(db: DbOrTx, id: string, limit: number): Promise<Association[]> {
  return await db
    .selectFrom("block_storage.volume_type")
    .select(["id", "name"])
    .where("qos_specs_id", "=", id)
    .orderBy("created_at")
    .orderBy("id")
    .limit(limit)
    .execute()
}

async function lockType(tx: Tx, typeId: string): Promise<string | null> {
  if (typeId === "") throw inputInvalid("vol_type_id: Volume Type id must not be None.")
  const type = isUuid(typeId)
    ? await tx
        .selectFrom("block_storage.volume_type")
        .select("qos_specs_id")
        .where("id", "=", typeId)
        .forUpdate()
        .executeTakeFirst()
    : undefined
  if (!type) throw volumeTypeNotFound(typeId)
  return type.qos_specs_id
}

async function setOfType(ctx: Ctx, tx: Tx, typeId: string, id: string | null): Promise<void> {
  await tx
    .updateTable("block_storage.volume_type")
    .set({ qos_specs_id: id, updated_at: ctx.clock.now() })
    .where("id", "=", typeId)
    .execute()
}

export async function takeFromAll(ctx: Ctx, tx: Tx, id: string): Promise<void> {
  await tx
    .updateTable("block_storage.volume_type")
    .set({ qos_specs_id: null, updated_at: ctx.clock.now() })
    .where("qos_specs_id", "=", id)
    .execute()
}

export const listQosAssociations = operation({
  name: "block_storage.qos_specs.list_associations",
  input: Type.Object({ id: Type.String() }),
  faults: [qosSpecsNotFound],
  load: loadQosSpecs,
  rule: "volume_extension:qos_specs_manage:get_all",
  run: async (ctx, { id }, specs) => {
    if (!specs) throw qosSpecsNotFound(id)
    return await typesOfQosSpecs(ctx.db, id, ctx.config.blockStorage.listLimitMost)
  },
})

export const associateQosSpecs = operation({
  name: "block_storage.qos_specs.associate",
  input: OfType,
  faults: [qosSpecsNotFound, inputInvalid, volumeTypeNotFound, volumeTypeInvalid],
  load: loadQosSpecs,
  rule: "volume_extension:qos_specs_manage:update",
  run: async (ctx, { id, typeId }) => {
    await transact(ctx.db, async (tx) => {
      const specs = await lockQosSpecs(tx, id)
      const has = await lockType(tx, typeId)
      if (has === id) return
      if (has !== null)
        throw volumeTypeInvalid(`Type ${typeId} is already associated with another qos specs: ${has}`)
      await setOfType(ctx, tx, typeId, id)
      await notifyQosSpecs(ctx, tx, "associate", specs, { type_id: typeId })
    })
  },
})

/** Of a type that has others nothing changes, and that is no fault, as in Cinder. */
export const disassociateQosSpecs = operation({
  name: "block_storage.qos_specs.disassociate",
  input: OfType,
  faults: [qosSpecsNotFound, inputInvalid, volumeTypeNotFound],
  load: loadQosSpecs,
  rule: "volume_extension:qos_specs_manage:update",
  run: async (ctx, { id, typeId }) => {
    await transact(ctx.db, async (tx) => {
      const specs = await lockQosSpecs(tx, id)
      if ((await lockType(tx, typeId)) !== id) return
      await setOfType(ctx, tx, typeId, null)
      await notifyQosSpecs(ctx, tx, "disassociate", specs, { type_id: typeId })
    })
  },
})

export const disassociateAllQosSpecs = operation({
  name: "block_storage.qos_specs.disassociate_all",
  input: Type.Object({ id: Type.String() }),
  faults: [qosSpecsNotFound],
  load: loadQosSpecs,
  rule: "volume_extension:qos_specs_manage:update",
  run: async (ctx, { id }) => {
    await transact(ctx.db, async (tx) => {
      const specs = await lockQosSpecs(tx, id)
      await takeFromAll(ctx, tx, id)
      await notifyQosSpecs(ctx, tx, "disassociate_all", specs)
    })
  },
})
