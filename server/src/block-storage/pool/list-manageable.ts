import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import { hostUnavailable } from "../faults.ts"
import { dataAt, isOfKind, type ManageableKind, usablePool } from "./manageable.ts"

const listOf = (kind: ManageableKind, rule: string) =>
  operation({
    name: `block_storage.${kind}.list_manageable`,
    input: Type.Object({ host: Type.String({ maxLength: 511 }) }),
    faults: [hostUnavailable],
    rule,
    run: async (ctx, { host }) => {
      const found = await dataAt(ctx, await usablePool(ctx, ctx.db, host))
      return found.filter(({ name }) => isOfKind(kind, name))
    },
  })

export const listManageableVolumes = listOf("volume", "volume_extension:list_manageable")
export const listManageableSnapshots = listOf("snapshot", "snapshot_extension:list_manageable")
