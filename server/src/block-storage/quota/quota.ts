// Limits of a project for volumes and snapshots, of all and of each type.
import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { type DbOrTx, type Tx, transact } from "../../platform/db/database.ts"
import { fault } from "../../platform/fault/fault.ts"
import { operation } from "../../platform/operation/operation.ts"
import {
  getClassLimits,
  getLimits,
  type LimitRefusals,
  readQuota,
  resetLimits,
  setClassLimits,
  setLimits,
} from "../../quota/index.ts"
import { inputInvalid } from "../faults.ts"
import { viewerOf } from "../viewer.ts"
import { quotaWith, readTypeNames, readTypeUse } from "./of-types.ts"
import { blockStorageQuota, quotaResources } from "./resources.ts"

/** By Cinder's names. */
type Figures = Readonly<Record<string, number>>

export interface QuotaDetail {
  limits: Figures
  used: Figures
}

const ProjectId = Type.Object({ projectId: Type.String({ minLength: 1, maxLength: 255 }) })
const Limit = Type.Integer({ minimum: -1, maximum: 2_147_483_647 })
/** Those of all, and `volumes_<type>`, `gigabytes_<type>`, `snapshots_<type>`. */
const NewLimits = Type.Record(Type.String(), Limit, { maxProperties: 500 })

export const quotaBelowUsage = fault(
  "invalid",
  "block_storage.quota.below_usage",
  (resource: string, _limit: number, least: number) =>
    `Invalid input received: ${resource} quota cannot be lower than what is used: ${least}.`,
)
/** No user has limits of its own here. */
const quotaAboveProject = fault(
  "invalid",
  "block_storage.quota.above_project",
  (resource: string, limit: number, most: number) =>
    `Invalid input received: ${resource} quota ${limit} is above the project's: ${most}.`,
)

const ofProject = (projectId: string) => ({ project_id: projectId })

/** Limits and use; of the types that the caller sees. */
async function readAll(ctx: Ctx, db: DbOrTx, projectId: string): Promise<QuotaDetail> {
  const names = await readTypeNames(db, viewerOf(ctx))
  const limits = await getLimits(ctx, db, quotaWith(idsOf(names)), { projectId })
  const { used } = await readQuota(ctx, db, blockStorageQuota, { projectId })
  const ofTypes = await readTypeUse(db, projectId)
  const usedOfTypes = [...names].map(([name, resource]) => [name, ofTypes.get(resource) ?? 0])
  return { limits: named(limits, names), used: { ...used, ...Object.fromEntries(usedOfTypes) } }
}

async function readClass(ctx: Ctx, db: DbOrTx, className?: string): Promise<Figures> {
  const names = await readTypeNames(db, viewerOf(ctx))
  return named(await getClassLimits(ctx, db, quotaWith(idsOf(names)), className), names)
}

type TypeNames = Awaited<ReturnType<typeof readTypeNames>>

const typeOf = (row: string) => row.slice(row.indexOf("_") + 1)
const idsOf = (names: TypeNames) => [...new Set(names.values().map(typeOf))]

function named(limits: Figures, names: TypeNames): Figures {
  const ofAll = quotaResources.map((name) => [name, limits[name] ?? -1])
  const ofTypes = [...names].map(([name, resource]) => [name, limits[resource] ?? -1])
  return Object.fromEntries([...ofAll, ...ofTypes])
}

/** As the rows of limits have them. Throws for what there is no limit of; types that are named stay until the end. */
async function rowsOf(ctx: Ctx, tx: Tx, limits: Figures) {
  const names = await readTypeNames(tx, viewerOf(ctx))
  const rows: Record<string, number> = {}
  const typeIds = new Set<string>()
  for (const [name, limit] of Object.entries(limits)) {
    const resource = quotaResources.find((each) => each === name) ?? names.get(name)
    if (resource === undefined) throw inputInvalid(`${name}: there is no such limit.`)
    rows[resource] = limit
    if (names.has(name)) typeIds.add(typeOf(resource))
  }
  if (typeIds.size > 0) {
    const { rows: there } = await sql`select from block_storage.volume_type
      where id = any(${[...typeIds]}::uuid[]) order by id for key share`.execute(tx)
    if (there.length < typeIds.size) throw inputInvalid("a volume type that is named was deleted meanwhile.")
  }
  return { rows, quota: quotaWith([...typeIds]), nameOf: (row: string) => nameOf(names, row) }
}

const nameOf = (names: TypeNames, row: string) =>
  [...names].find(([, resource]) => resource === row)?.[0] ?? row

/** Limits and use. */
export const showQuota = operation({
  name: "block_storage.quota.get",
  input: ProjectId,
  rule: "volume_extension:quotas:show",
  target: (_ctx, { projectId }) => ofProject(projectId),
  run: (ctx, { projectId }) => readAll(ctx, ctx.db, projectId),
})

export const showDefaultQuota = operation({
  name: "block_storage.quota.get_defaults",
  input: ProjectId,
  rule: "volume_extension:quotas:show",
  target: (_ctx, { projectId }) => ofProject(projectId),
  run: (ctx) => readClass(ctx, ctx.db),
})

export const updateQuota = operation({
  name: "block_storage.quota.update",
  input: Type.Object({
    projectId: Type.String({ minLength: 1, maxLength: 255 }),
    limits: NewLimits,
    /** Also below what is used. */
    isForced: Type.Boolean(),
  }),
  faults: [quotaBelowUsage, inputInvalid],
  rule: "volume_extension:quotas:update",
  target: (_ctx, { projectId }) => ofProject(projectId),
  run: async (ctx, { projectId, limits, isForced }) =>
    await transact(ctx.db, async (tx) => {
      const { rows, quota, nameOf } = await rowsOf(ctx, tx, limits)
      const refusals: LimitRefusals = {
        belowUsage: (row, ...rest) => quotaBelowUsage(nameOf(row), ...rest),
        aboveProject: quotaAboveProject,
      }
      await setLimits(ctx, tx, quota, { projectId }, rows, isForced ? undefined : refusals)
      return await readAll(ctx, tx, projectId)
    }),
})

export const deleteQuota = operation({
  name: "block_storage.quota.delete",
  input: ProjectId,
  rule: "volume_extension:quotas:delete",
  target: (_ctx, { projectId }) => ofProject(projectId),
  run: async (ctx, { projectId }) => {
    await transact(ctx.db, (tx) => resetLimits(tx, blockStorageQuota, { projectId }))
  },
})

const ClassName = Type.String({ minLength: 1, maxLength: 255 })

export const showQuotaClass = operation({
  name: "block_storage.quota_class.get",
  input: Type.Object({ className: ClassName }),
  rule: "volume_extension:quota_classes:get",
  run: (ctx, { className }) => readClass(ctx, ctx.db, className),
})

export const updateQuotaClass = operation({
  name: "block_storage.quota_class.update",
  input: Type.Object({ className: ClassName, limits: NewLimits }),
  faults: [inputInvalid],
  rule: "volume_extension:quota_classes:update",
  run: async (ctx, { className, limits }) =>
    await transact(ctx.db, async (tx) => {
      const { rows, quota } = await rowsOf(ctx, tx, limits)
      await setClassLimits(tx, quota, className, rows)
      return await readClass(ctx, tx, className)
    }),
})

/** Limits and use of the caller's project. */
export const showLimits = operation({
  name: "block_storage.limits.get",
  input: Type.Object({}),
  rules: "authenticated",
  run: (ctx) => readQuota(ctx, ctx.db, blockStorageQuota, { projectId: ctx.caller.projectId ?? "" }),
})
