// Quota classes: named sets of limits. Only the class `default` has an effect: it stands in for the configuration.
import { Type } from "typebox"
import { transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { getClassLimits, setClassLimits } from "../../quota/index.ts"
import { NewLimits } from "./quota.ts"
import { computeQuota, type QuotaLimits } from "./resources.ts"

const rules = "os_compute_api:os-quota-class-sets"
const ClassName = Type.String({ minLength: 1, maxLength: 255 })

export const showQuotaClass = operation({
  name: "compute.quota_class.get",
  input: Type.Object({ className: ClassName }),
  rule: `${rules}:show`,
  run: (ctx, { className }) => getClassLimits(ctx, ctx.db, computeQuota, className),
})

export const updateQuotaClass = operation({
  name: "compute.quota_class.update",
  input: Type.Object({
    className: ClassName,
    limits: Type.Unsafe<Partial<QuotaLimits>>(NewLimits),
  }),
  rule: `${rules}:update`,
  run: (ctx, { className, limits }) =>
    transact(ctx.db, async (tx) => {
      await setClassLimits(tx, computeQuota, className, limits)
      return await getClassLimits(ctx, tx, computeQuota, className)
    }),
})
