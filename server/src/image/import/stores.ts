// Into which stores data are brought.
import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { fileStores, findStore, storesOf } from "../data/stores.ts"
import { importNotPossible, storeReadOnly } from "../faults.ts"

export interface StoreWish {
  /** Null: the default store. */
  stores: readonly string[] | null
  /** Every store that takes data. */
  isAll: boolean
}

/** Throws what Glance says of a store that cannot be meant. */
export function chosenStores(ctx: Pick<Ctx, "config">, { stores, isAll }: StoreWish): string[] {
  if (isAll) return fileStores(ctx).map(({ id }) => id)
  if (stores === null) return [ctx.config.image.defaultStore]
  const ids = [...new Set(stores)]
  if (ids.length === 0) throw invalid("stores", "Name at least one store.")
  for (const id of ids) {
    const store = findStore(ctx, id)
    if (!store) {
      const known = storesOf(ctx).map((each) => each.id)
      throw importNotPossible(`There is no store '${id}'; stores are ${known.join(", ")}.`)
    }
    if (store.type !== "file") throw storeReadOnly(id)
  }
  return ids
}

/** What users see of how far an import is. */
const importingStoresProperty = "os_glance_importing_to_stores"
const failedStoresProperty = "os_glance_failed_import"

export function progressOf(left: readonly string[], failed: readonly string[]) {
  return { [importingStoresProperty]: left.join(","), [failedStoresProperty]: failed.join(",") }
}
