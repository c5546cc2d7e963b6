import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { violatedConstraint } from "../../platform/db/database.ts"
import { isUuid, newUuid } from "../../platform/ids/ids.ts"
import { formatPrefix, lastOf, type Prefix, parsePrefix } from "../../platform/net/address.ts"
import { boolean, field, integer, nullable, text, texts, uuid } from "../../platform/noun/field.ts"
import { loadThing } from "../../platform/noun/list.ts"
import { type Create, noun, ruledFields, type Thing } from "../../platform/noun/noun.ts"
import { getOf, listOf } from "../../platform/noun/verbs.ts"
import { operation } from "../../platform/operation/operation.ts"
import type { PolicyTarget } from "../../platform/policy/rule.ts"
import { asksOf, enforceQuotaOfMade } from "../../quota/index.ts"
import {
  addressScopeNotFound,
  badRequest,
  forbiddenProject,
  revisionMismatch,
  scopePrefixConflict,
  subnetPoolInUse,
  subnetPoolNotFound,
} from "../faults.ts"
import { networkQuota } from "../quota.ts"
import { grantAccess } from "../rbac/grant.ts"
import {
  attributeRules,
  change,
  descriptionField,
  lockRow,
  ownedFields,
  ownerOf,
  RevisionInput,
  tagFields,
  updateRow,
} from "../resource/standard.ts"
import { everything, sharedWith, type Viewer, viewerOf } from "../resource/viewer.ts"
import { visibleTo } from "../resource/visible.ts"
import { IpVersion } from "../subnet/subnet.ts"

const prefixLength = { min: 0, create: true, update: true, filter: true, sort: true } as const

export const subnetPoolNoun = noun({
  name: "network.subnet_pool",
  table: sql`network.subnet_pool`,
  alias: "p",
  fields: {
    ...ownedFields("p"),
    description: descriptionField("p"),
    ...tagFields("p"),
    name: text(sql`p.name`, { create: "required", update: true, filter: true, sort: true }),
    ipVersion: field("integer", IpVersion, sql`p.ip_version`, { filter: true, sort: true }),
    prefixes: texts(sql`p.prefixes::text[]`, { create: "required", update: true }),
    defaultPrefixlen: integer(sql`p.default_prefix_length`, prefixLength),
    minPrefixlen: integer(sql`p.min_prefix_length`, prefixLength),
    maxPrefixlen: integer(sql`p.max_prefix_length`, prefixLength),
    defaultQuota: nullable(integer(sql`p.default_quota`, prefixLength)),
    isDefault: boolean(sql`p.is_default`, {
      create: true,
      update: true,
      filter: true,
      sort: true,
      rule: "write",
    }),
    shared: boolean((viewer: Viewer) => sharedWith(viewer, "subnetpool", sql`p.id`), {
      create: true,
      filter: true,
      rule: "write",
    }),
    addressScopeId: nullable(
      uuid(sql`p.address_scope_id`, { create: true, update: true, filter: true, sort: true }),
    ),
  },
  visible: (viewer: Viewer) =>
    visibleTo(viewer, {
      owner: sql`p.project_id`,
      shared: { objectType: "subnetpool", objectId: sql`p.id` },
    }),
  notFound: subnetPoolNotFound,
})

export type SubnetPool = Thing<typeof subnetPoolNoun>
export type SubnetPoolInput = Create<typeof subnetPoolNoun>

export function subnetPoolTarget(pool: { projectId: string; shared: boolean }): PolicyTarget {
  return { project_id: pool.projectId, tenant_id: pool.projectId, shared: pool.shared }
}

export async function loadSubnetPool(
  db: DbOrTx,
  id: string,
  viewer: Viewer = everything,
): Promise<SubnetPool> {
  return await loadThing(db, subnetPoolNoun, viewer, id)
}

const asked = { viewer: viewerOf, rule: "get_subnetpool", target: subnetPoolTarget }

export const getSubnetPool = getOf(subnetPoolNoun, asked)
export const listSubnetPools = listOf(subnetPoolNoun, asked)

const ruled = ruledFields(subnetPoolNoun.fields, "write")

export const createSubnetPools = operation({
  name: "network.subnet_pool.create",
  input: Type.Object({ items: Type.Array(subnetPoolNoun.create) }),
  faults: [badRequest, addressScopeNotFound, scopePrefixConflict, forbiddenProject],
  rules: ["create_subnetpool"],
  authorize: (ctx, { items }) =>
    items.flatMap((input) => {
      const target = subnetPoolTarget({ projectId: ownerOf(ctx, input.projectId), shared: false })
      const given = {
        shared: input.shared || undefined,
        isDefault: input.isDefault || undefined,
        tags: input.tags,
      }
      return [
        ["create_subnetpool", target] as const,
        ...attributeRules("create_subnetpool", target, given, ruled),
      ]
    }),
  run: async (ctx, { items }) =>
    await change(ctx, async (tx) => {
      const made: SubnetPool[] = []
      for (const input of items) made.push(await insertPool(ctx, tx, input))
      const owners = items.map((input) => ownerOf(ctx, input.projectId))
      await enforceQuotaOfMade(ctx, tx, networkQuota, asksOf(owners, { subnetpool: 1 }))
      return made
    }),
})

async function insertPool(ctx: Ctx, tx: Tx, input: SubnetPoolInput): Promise<SubnetPool> {
  const id = newUuid()
  const projectId = ownerOf(ctx, input.projectId)
  const { version, prefixes } = mergePrefixes(input.prefixes)
  const lengths = checkLengths(version, input)
  if (input.isDefault) await checkDefault(tx, version)
  if (input.addressScopeId) await checkScope(ctx, tx, input.addressScopeId, version, id, prefixes)
  await tx
    .insertInto("network.subnet_pool")
    .values({
      id,
      project_id: projectId,
      name: input.name,
      description: input.description ?? "",
      tags: [...new Set(input.tags ?? [])],
      ip_version: version,
      prefixes,
      default_prefix_length: lengths.default,
      min_prefix_length: lengths.min,
      max_prefix_length: lengths.max,
      default_quota: input.defaultQuota ?? null,
      is_default: input.isDefault ?? false,
      address_scope_id: input.addressScopeId ?? null,
    })
    .execute()
  if (input.shared)
    await grantAccess(tx, { projectId, objectType: "subnetpool", objectId: id, action: "access_as_shared" })
  return await loadSubnetPool(tx, id, { ...viewerOf(ctx), seesAll: true })
}

async function checkDefault(tx: Tx, version: 4 | 6): Promise<void> {
  const { rows } =
    await sql`select from network.subnet_pool where is_default and ip_version = ${version}`.execute(tx)
  if (rows.length > 0) {
    throw badRequest(
      `Invalid input for operation: A default subnetpool for this IP family has already been set. Only one default may exist per IP family.`,
    )
  }
}

/** The prefixes without doubles, neighbours joined, in order. */
export function mergePrefixes(texts: readonly string[]): { version: 4 | 6; prefixes: string[] } {
  const parsed = texts.map((text) => {
    const prefix = parsePrefix(text)
    if (!prefix) throw badRequest(`Invalid input for prefixes. Reason: '${text}' is not a valid IP subnet.`)
    return prefix
  })
  const [first] = parsed
  if (!first) throw badRequest("Empty subnet pool prefix list.")
  if (parsed.some((p) => p.version !== first.version))
    throw badRequest("Cannot mix IPv4 and IPv6 prefixes in a subnet pool.")
  let merged: Prefix[] = [...parsed]
  for (let isDone = false; !isDone; ) {
    merged.sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : a.length - b.length))
    const next: Prefix[] = []
    for (const prefix of merged) {
      const before = next.at(-1)
      if (before && lastOf(before) >= lastOf(prefix)) continue
      if (before && isOtherHalf(before, prefix))
        next[next.length - 1] = { ...before, length: before.length - 1 }
      else next.push(prefix)
    }
    isDone = next.length === merged.length
    merged = next
  }
  return { version: first.version, prefixes: merged.map(formatPrefix) }
}

function isOtherHalf(a: Prefix, b: Prefix): boolean {
  if (a.length !== b.length || a.length === 0 || lastOf(a) + 1n !== b.first) return false
  const parent = parsePrefix(formatPrefix({ ...a, length: a.length - 1 }))
  return parent?.first === a.first
}

interface Lengths {
  default: number
  min: number
  max: number
}

function checkLengths(
  version: 4 | 6,
  input: Pick<Partial<SubnetPoolInput>, "defaultPrefixlen" | "minPrefixlen" | "maxPrefixlen">,
): Lengths {
  const total = version === 4 ? 32 : 128
  const least = version === 4 ? 8 : 64
  const min = input.minPrefixlen ?? least
  const max = input.maxPrefixlen ?? total
  const chosen = input.defaultPrefixlen ?? min
  const illegal = (a: string, av: number, b: string, bv: number) =>
    badRequest(`Illegal prefix bounds: ${a}=${av}, ${b}=${bv}.`)
  if (max > total) throw illegal("max_prefixlen", max, "ip_version", version)
  if (min > max) throw illegal("min_prefixlen", min, "max_prefixlen", max)
  if (chosen < min) throw illegal("default_prefixlen", chosen, "min_prefixlen", min)
  if (chosen > max) throw illegal("default_prefixlen", chosen, "max_prefixlen", max)
  return { default: chosen, min, max }
}

/** What lies in a scope is its owner's to arrange: whoever put a pool into another's does not change its prefixes. */
async function checkScopeIsOwn(
  ctx: Ctx,
  tx: Tx,
  pool: Pick<SubnetPool, "id" | "addressScopeId">,
): Promise<void> {
  if (pool.addressScopeId === null || viewerOf(ctx).seesAll) return
  const { rows } = await sql`select from network.address_scope
    where id = ${pool.addressScopeId} and project_id = ${ctx.caller.projectId}`.execute(tx)
  if (rows.length === 0)
    throw badRequest(
      `Illegal subnetpool update : subnetpool ${pool.id} cannot be updated when associated with shared address scope ${pool.addressScopeId}.`,
    )
}

/** Within an address scope every address is in one pool only. */
async function checkScope(
  ctx: Ctx,
  tx: Tx,
  scopeId: string,
  version: 4 | 6,
  poolId: string,
  prefixes: readonly string[],
): Promise<void> {
  const viewer = viewerOf(ctx)
  if (!isUuid(scopeId)) throw addressScopeNotFound(scopeId)
  const { rows } = await sql<{
    ipVersion: number
  }>`select s.ip_version as "ipVersion" from network.address_scope s
    where s.id = ${scopeId} and (${viewer.seesAll} or s.project_id = ${viewer.projectId}
      or ${sharedWith(viewer, "address_scope", sql`s.id`)}) for update`.execute(tx)
  const [scope] = rows
  if (!scope) throw addressScopeNotFound(scopeId)
  if (scope.ipVersion !== version) {
    throw badRequest(
      `Illegal subnetpool association: subnetpool ${poolId} cannot associate with address scope ${scopeId} because subnetpool ip_version is not ${scope.ipVersion}.`,
    )
  }
  const overlaps =
    await sql`select from network.subnet_pool p, unnest(p.prefixes) a, unnest(${prefixes}::cidr[]) b
    where p.address_scope_id = ${scopeId} and p.id <> ${poolId} and a && b limit 1`.execute(tx)
  if (overlaps.rows.length > 0) {
    throw scopePrefixConflict()
  }
}

export const updateSubnetPool = operation({
  name: "network.subnet_pool.update",
  input: Type.Object({
    id: Type.String(),
    expectedRevision: RevisionInput,
    changes: subnetPoolNoun.changes,
  }),
  faults: [subnetPoolNotFound, badRequest, addressScopeNotFound, scopePrefixConflict, revisionMismatch],
  load: (ctx, { id }) => loadSubnetPool(ctx.db, id, viewerOf(ctx)),
  rules: ["update_subnetpool"],
  authorize: (_ctx, { changes }, pool) => [
    ["update_subnetpool", subnetPoolTarget(pool)],
    ...attributeRules("update_subnetpool", subnetPoolTarget(pool), changes, ruled),
  ],
  run: async (ctx, { id: subnetPoolId, expectedRevision, changes }) =>
    await change(ctx, async (tx) => {
      await lockRow(tx, "subnetPool", subnetPoolId, subnetPoolNotFound, expectedRevision)
      const viewer = { ...viewerOf(ctx), seesAll: true }
      const pool = await loadSubnetPool(tx, subnetPoolId, viewer)
      const merged = changes.prefixes && mergePrefixes([...changes.prefixes])
      if (merged) checkGrowth(pool, merged)
      if (merged) await checkScopeIsOwn(ctx, tx, pool)
      const prefixes = merged?.prefixes ?? pool.prefixes
      const lengths = checkLengths(pool.ipVersion, { ...pool, ...changes })
      const scopeId = changes.addressScopeId === undefined ? pool.addressScopeId : changes.addressScopeId
      if (scopeId && (changes.addressScopeId || merged))
        await checkScope(ctx, tx, scopeId, pool.ipVersion, subnetPoolId, prefixes)
      if (changes.isDefault && !pool.isDefault) await checkDefault(tx, pool.ipVersion)
      await updateRow(tx, "subnetPool", subnetPoolId, {
        name: changes.name,
        description: changes.description,
        prefixes: merged && sql`${prefixes}::cidr[]`,
        default_prefix_length: lengths.default,
        min_prefix_length: lengths.min,
        max_prefix_length: lengths.max,
        default_quota: changes.defaultQuota,
        is_default: changes.isDefault,
        address_scope_id: changes.addressScopeId,
      })
      return await loadSubnetPool(tx, subnetPoolId, viewer)
    }),
})

/** What was in the pool stays in it: subnets may have been taken from it. */
function checkGrowth(pool: SubnetPool, merged: { version: 4 | 6; prefixes: string[] }): void {
  if (merged.version !== pool.ipVersion)
    throw badRequest("Cannot mix IPv4 and IPv6 prefixes in a subnet pool.")
  const kept = mergePrefixes([...merged.prefixes, ...pool.prefixes])
  if (kept.prefixes.join() !== merged.prefixes.join())
    throw badRequest("Illegal update to prefixes: Existing prefixes must be a subset of the new prefixes.")
}

export const deleteSubnetPool = operation({
  name: "network.subnet_pool.delete",
  input: Type.Object({ id: Type.String(), expectedRevision: RevisionInput }),
  faults: [subnetPoolNotFound, subnetPoolInUse, revisionMismatch],
  load: (ctx, { id }) => loadSubnetPool(ctx.db, id, viewerOf(ctx)),
  rule: "delete_subnetpool",
  target: (_ctx, _input, pool) => subnetPoolTarget(pool),
  run: async (ctx, { id: subnetPoolId, expectedRevision }) => {
    try {
      await change(ctx, async (tx) => {
        await lockRow(tx, "subnetPool", subnetPoolId, subnetPoolNotFound, expectedRevision)
        await sql`delete from network.rbac_policy where object_id = ${subnetPoolId}`.execute(tx)
        await sql`delete from network.subnet_pool where id = ${subnetPoolId}`.execute(tx)
      })
    } catch (error) {
      if (violatedConstraint(error)) throw subnetPoolInUse()
      throw error
    }
  },
})

/** Adds prefixes to the pool, or takes some out that no subnet uses. */
function prefixesVerb(how: "add" | "remove") {
  return operation({
    name: `network.subnet_pool.${how}_prefixes`,
    input: Type.Object({
      subnetPoolId: Type.String(),
      prefixes: Type.Array(Type.String()),
    }),
    faults: [subnetPoolNotFound, badRequest, scopePrefixConflict],
    load: (ctx, { subnetPoolId }) => loadSubnetPool(ctx.db, subnetPoolId, viewerOf(ctx)),
    rule: `${how}_prefixes`,
    target: (_ctx, _input, pool) => subnetPoolTarget(pool),
    run: async (ctx, { subnetPoolId, prefixes }) =>
      await change(ctx, async (tx) => {
        await lockRow(tx, "subnetPool", subnetPoolId, subnetPoolNotFound)
        const pool = await loadSubnetPool(tx, subnetPoolId)
        await checkScopeIsOwn(ctx, tx, pool)
        const given = mergePrefixes(prefixes)
        const kept =
          how === "add"
            ? mergePrefixes([...pool.prefixes, ...given.prefixes])
            : { version: pool.ipVersion, prefixes: pool.prefixes.filter((p) => !given.prefixes.includes(p)) }
        if (kept.version !== pool.ipVersion)
          throw badRequest("Cannot mix IPv4 and IPv6 prefixes in a subnet pool.")
        if (how === "remove") await checkPrefixesFree(tx, subnetPoolId, kept.prefixes)
        else if (pool.addressScopeId)
          await checkScope(ctx, tx, pool.addressScopeId, pool.ipVersion, subnetPoolId, kept.prefixes)
        await updateRow(tx, "subnetPool", subnetPoolId, { prefixes: sql`${kept.prefixes}::cidr[]` })
        return kept.prefixes
      }),
  })
}

export const addPoolPrefixes = prefixesVerb("add")
export const removePoolPrefixes = prefixesVerb("remove")

async function checkPrefixesFree(tx: Tx, poolId: string, kept: readonly string[]): Promise<void> {
  const { rows } = await sql<{ cidr: string }>`select s.cidr::text as cidr from network.subnet s
    where s.subnet_pool_id = ${poolId} and not exists (select from unnest(${kept}::cidr[]) p where s.cidr <<= p) limit 1`.execute(
    tx,
  )
  if (rows[0])
    throw badRequest(
      `Illegal update to prefixes: a subnet with ${rows[0].cidr} was taken from what is removed.`,
    )
}
