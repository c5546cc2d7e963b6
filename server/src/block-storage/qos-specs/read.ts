import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { findThing, ListQuery } from "../../platform/noun/list.ts"
import { type Listed, listPage } from "../../platform/noun/page.ts"
import { getOf, loadOf } from "../../platform/noun/verbs.ts"
import { operation } from "../../platform/operation/operation.ts"
import { qosSpecsNotFound } from "../faults.ts"
import { type QosSpecs, qosSpecsNoun } from "./qos-specs.ts"

/** Whoever is refused learns nothing of what is there. */
const found = { viewer: () => undefined as never, isRefusedFirst: true } as const

export const loadQosSpecs = loadOf(qosSpecsNoun, found)

export const getQosSpecs = getOf(qosSpecsNoun, { ...found, rule: "volume_extension:qos_specs_manage:get" })

export const listQosSpecs = operation({
  name: "block_storage.qos_specs.list",
  input: Type.Object({ query: ListQuery, offset: Type.Integer({ minimum: 0 }) }),
  faults: [qosSpecsNotFound],
  rule: "volume_extension:qos_specs_manage:get_all",
  run: (ctx, { query, offset }): Promise<Listed<QosSpecs>> =>
    listPage(ctx.db, qosSpecsNoun, undefined as never, { ...query, offset }, mostOf(ctx)),
})

const mostOf = (ctx: Ctx) => ctx.config.blockStorage.listLimitMost

/** The row, held until the transaction ends: nobody changes, removes or gives it meanwhile. */
export async function lockQosSpecs(tx: Tx, id: string): Promise<QosSpecs> {
  if (!isUuid(id)) throw qosSpecsNotFound(id)
  await tx.selectFrom("block_storage.qos_specs").select("id").where("id", "=", id).forUpdate().execute()
  const specs = await findThing(tx, qosSpecsNoun, undefined as never, id)
  if (!specs) throw qosSpecsNotFound(id)
  return specs
}
