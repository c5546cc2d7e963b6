import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import { badRequest } from "../faults.ts"
import type { Migration } from "./migration.ts"
import { type MigrationFilter, selectMigrations } from "./store.ts"

/** Of all projects. */
export const listMigrations = operation({
  name: "compute.migration.list",
  input: Type.Unsafe<MigrationFilter>(Type.Object({})),
  faults: [badRequest],
  rule: "os_compute_api:os-migrations:index",
  run: async (ctx, input): Promise<Migration[]> => {
    const found = await selectMigrations(ctx.db, input)
    if (!found) throw badRequest(`Marker ${input.marker} could not be found.`)
    return found
  },
})
