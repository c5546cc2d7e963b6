// What every noun of the network shares: revision numbers, owners, rules by attribute.

import { type RawBuilder, sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { afterCommit, transact } from "../../platform/db/database.ts"
import { filterOnly, integer, matched, text, texts, time, uuid } from "../../platform/noun/field.ts"
import type { Authorization } from "../../platform/operation/operation.ts"
import { can } from "../../platform/policy/can.ts"
import type { PolicyTarget } from "../../platform/policy/rule.ts"
import { isAdmin } from "../admin.ts"
import { badRequest, forbiddenProject, revisionMismatch } from "../faults.ts"
import { type ChangedNoun, changedIn, noteChanged } from "../sync/changes.ts"
import { syncOf } from "../sync/sync.ts"
import { againWhenGone } from "./gone.ts"

/** Fields that every noun of the network has; `t` is the table's alias. */
export function ownedFields(t: string) {
  const at = (name: string) => sql`${sql.ref(`${t}.${name}`)}`
  return {
    id: uuid(at("id"), { filter: true, sort: true }),
    projectId: text(at("project_id"), { create: true, filter: true, sort: true, name: "tenant_id" }),
    revisionNumber: integer(at("generation"), { filter: true, sort: true }),
    createdAt: time(at("created_at"), { sort: true }),
    updatedAt: time(at("updated_at"), { sort: true }),
    changedSince: filterOnly(([since]) => sql<boolean>`${at("updated_at")} >= ${since ?? ""}::timestamptz`),
  }
}

export function descriptionField(t: string) {
  return text(sql.ref(`${t}.description`), { create: true, update: true, filter: true, sort: true })
}

/** Tags are words without commas; a filter names several of them with commas between. */
export function tagFields(t: string) {
  const tags = sql.ref(`${t}.tags`)
  const words = (values: readonly string[]) => values.flatMap((value) => value.split(","))
  return {
    tags: matched(
      texts(tags, { create: true, filter: true, rule: "write" }),
      (v) => sql<boolean>`${tags} @> ${words(v)}::text[]`,
    ),
    tagsAny: filterOnly((v) => sql<boolean>`${tags} && ${words(v)}::text[]`, "tags-any"),
    notTags: filterOnly((v) => sql<boolean>`not ${tags} @> ${words(v)}::text[]`, "not-tags"),
    notTagsAny: filterOnly((v) => sql<boolean>`not ${tags} && ${words(v)}::text[]`, "not-tags-any"),
  }
}

/** What `If-Match: revision_number=N` asks. */
export const RevisionInput = Type.Optional(Type.Integer())

export function checkRevision(thing: { revisionNumber: number }, expected: number | undefined): void {
  if (expected !== undefined && thing.revisionNumber !== expected)
    throw revisionMismatch(`revision_number=${expected}`)
}

/** Whose the new thing is: the named project (administrators only), else the caller's. */
export function ownerOf(ctx: Ctx, wanted: string | undefined): string {
  const { caller } = ctx
  const mayChoose = isAdmin(ctx) || can(ctx, "context_is_advsvc")
  if (wanted !== undefined && wanted !== caller.projectId && !mayChoose) throw forbiddenProject()
  const owner = wanted ?? caller.projectId
  if (owner === null || owner === "")
    throw badRequest("Running without a project requires that tenant_id is specified.")
  return owner
}

/** Rules of the attributes that are given. `names` is key → the attribute's name in the rule. */
export function attributeRules(
  action: string,
  target: PolicyTarget,
  given: Readonly<Record<string, unknown>>,
  names: Readonly<Record<string, string>>,
): Authorization[] {
  return Object.entries(names)
    .filter(([key]) => given[key] !== undefined)
    .map(([, name]) => [`${action}:${name}`, target] as const)
}

/** Attributes that the caller may not see, by their key. */
export function hiddenAttributes(
  ctx: Ctx,
  action: string,
  target: PolicyTarget,
  names: Readonly<Record<string, string>>,
): Set<string> {
  const hidden = new Set<string>()
  for (const [key, name] of Object.entries(names)) {
    if (!ctx.policy.isAllowed(ctx.caller, `${action}:${name}`, target)) hidden.add(key)
  }
  return hidden
}

/** A change of the network's rows: the engine is told after the commit of what `noteChanged` was told meanwhile. */
export async function change<T>(ctx: Ctx, run: (tx: Tx) => Promise<T>): Promise<T> {
  const attempt = () =>
    transact(ctx.db, async (tx) => {
      const result = await run(tx)
      pokeAfterCommit(ctx, tx)
      return result
    })
  return await againWhenGone(attempt)
}

/** The same at the end of a part of somebody's transaction. */
export function pokeAfterCommit(ctx: Ctx, tx: Tx): void {
  const changed = changedIn(tx)
  afterCommit(tx, () => syncOf(ctx).poke(changed))
}

/** What the engine has something of, by table. */
const nounOf: Partial<Record<Table, ChangedNoun>> = {
  network: "networks",
  subnet: "subnets",
  port: "ports",
  router: "routers",
  floatingIp: "floatingIps",
  securityGroup: "securityGroups",
  addressGroup: "addressGroups",
}

function noteRows(tx: Tx, table: Table, ids: readonly string[]): void {
  const noun = nounOf[table]
  if (noun) noteChanged(tx, { [noun]: ids })
}

const tables = {
  network: sql.table("network.network"),
  subnet: sql.table("network.subnet"),
  port: sql.table("network.port"),
  router: sql.table("network.router"),
  floatingIp: sql.table("network.floating_ip"),
  securityGroup: sql.table("network.security_group"),
  subnetPool: sql.table("network.subnet_pool"),
  addressScope: sql.table("network.address_scope"),
  addressGroup: sql.table("network.address_group"),
  qosPolicy: sql.table("network.qos_policy"),
} as const
export type Table = keyof typeof tables

/**
 * Takes the row for this transaction and checks the revision that the client named. What was read before may be
 * old by now; what is read after is not. Whoever takes a row changes it: the engine is told of it.
 */
export async function lockRow(
  tx: Tx,
  table: Table,
  id: string,
  gone: (id: string) => Error,
  expectedRevision?: number,
): Promise<void> {
  const { rows } = await sql<{ generation: number }>`select generation from ${tables[table]}
    where id = ${id} for update`.execute(tx)
  const row = rows[0]
  if (!row) throw gone(id)
  noteRows(tx, table, [id])
  checkRevision({ revisionNumber: row.generation }, expectedRevision)
}

export type Assignments = Readonly<Record<string, RawBuilder<unknown> | unknown>>

/** Sets the given columns (undefined ones stay) and raises the revision; the row is locked by `lockRow`. */
export async function updateRow(tx: Tx, table: Table, id: string, set: Assignments): Promise<void> {
  const assignments = Object.entries(set)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => sql`${sql.id(name)} = ${value}`)
  await sql`update ${tables[table]}
    set ${sql.join([...assignments, sql`generation = generation + 1`, sql`updated_at = now()`])}
    where id = ${id}`.execute(tx)
  noteRows(tx, table, [id])
}

/** A change of something that belongs to the row shows in its revision too. */
export async function bumpRevision(tx: Tx, table: Table, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  await sql`update ${tables[table]} set generation = generation + 1, updated_at = now()
    where id = any(${ids}::uuid[])`.execute(tx)
  noteRows(tx, table, ids)
}

export async function countOf(db: DbOrTx, table: Table, projectId: string): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) as count from ${tables[table]}
    where project_id = ${projectId}`.execute(db)
  return rows[0]?.count ?? 0
}
