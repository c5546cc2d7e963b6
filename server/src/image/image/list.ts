// Lists of images: who sees which, filters, order, pages. One statement a page.
import { type RawBuilder, type Selectable, sql } from "kysely"
import { type Static, Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { pageClauses, type SortColumns } from "../../platform/db/page.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { operation } from "../../platform/operation/operation.ts"
import type { ImageTable } from "../tables.ts"
import type { Image } from "./image.ts"
import { imageTarget, isAdmin, isImageId, isVisible, toImage } from "./store.ts"

const Filter = Type.Object({
  /** Public name of an attribute or property. */
  name: Type.String(),
  op: Type.Union([
    Type.Literal("eq"),
    Type.Literal("neq"),
    Type.Literal("gt"),
    Type.Literal("gte"),
    Type.Literal("lt"),
    Type.Literal("lte"),
    Type.Literal("in"),
  ]),
  /** Exactly one, but for `in`. */
  values: Type.Array(Type.String()),
})
export type ImageFilter = Static<typeof Filter>

const Input = Type.Object({
  filters: Type.Array(Filter),
  /** `all` shows community images of others too. */
  visibility: Type.Union([
    Type.Null(),
    Type.Literal("all"),
    Type.Literal("public"),
    Type.Literal("community"),
    Type.Literal("shared"),
    Type.Literal("private"),
  ]),
  /** Which of the images that are shared with the caller. */
  memberStatus: Type.Union([
    Type.Literal("pending"),
    Type.Literal("accepted"),
    Type.Literal("rejected"),
    Type.Literal("all"),
  ]),
  isHidden: Type.Boolean(),
  isProtected: Type.Union([Type.Boolean(), Type.Null()]),
  /** All of them must be on the image. */
  tags: Type.Array(Type.String()),
  limit: Type.Integer({ minimum: 0 }),
  marker: Type.Union([Type.String(), Type.Null()]),
  sorts: Type.Array(
    Type.Object({ key: Type.String(), direction: Type.Union([Type.Literal("asc"), Type.Literal("desc")]) }),
  ),
})
export type ImageListInput = Static<typeof Input>

export interface ImagePage {
  images: Image[]
  /** Marker of the next page; null on the last one. */
  nextMarker: string | null
}

export const listImages = operation({
  name: "image.image.list",
  input: Input,
  rule: "get_images",
  target: (ctx) => ({ project_id: ctx.caller.projectId }),
  run: async (ctx, input): Promise<ImagePage> => {
    const rows = await readPage(ctx, input)
    const images = rows
      .map((row) => ({ image: toImage(row), memberId: row.member }))
      .filter((found) => ctx.policy.isAllowed(ctx.caller, "get_image", imageTarget(found)))
      .map((found) => found.image)
    // Of the rows as they were read: rules may have taken the last ones out, or all.
    const last = rows.at(-1)
    return { images, nextMarker: rows.length === input.limit && last ? last.id : null }
  },
})

const sortColumns: SortColumns = {
  name: { column: sql`i.name`, isNullable: true },
  status: { column: sql`i.status` },
  container_format: { column: sql`i.container_format`, isNullable: true },
  disk_format: { column: sql`i.disk_format`, isNullable: true },
  size: { column: sql`i.size_bytes`, isNullable: true },
  created_at: { column: sql`i.created_at` },
  updated_at: { column: sql`i.updated_at` },
  id: { column: sql`i.id` },
}

export const imageSortKeys: readonly string[] = Object.keys(sortColumns)

type Row = Selectable<ImageTable> & { member: string | null }

async function readPage(ctx: Ctx, input: ImageListInput): Promise<Row[]> {
  const sorts = [...input.sorts]
  if (!sorts.some((s) => s.key === "created_at"))
    sorts.push({ key: "created_at", direction: sorts[0]?.direction ?? "desc" })
  const marker = input.marker === null ? null : await readMarker(ctx, input.marker)
  const page = pageClauses({ sorts, isReverse: false }, sortColumns, "id", marker)
  const where = sql.join([...conditions(ctx, input), page.where], sql` and `)
  const found = await sql<Row>`
    select i.*, ${sharedWith(ctx)} as member from image.image i where ${where}
    order by ${page.orderBy} limit ${input.limit}`.execute(ctx.db)
  return found.rows
}

/** The caller's project where the image is shared with it: some policies ask for it. */
function sharedWith(ctx: Ctx): RawBuilder<unknown> {
  const { projectId } = ctx.caller
  if (!projectId) return sql`null`
  return sql`case when i.visibility = 'shared' and i.project_id is distinct from ${projectId} then
    (select m.member_id from image.member m where m.image_id = i.id and m.member_id = ${projectId}) end`
}

async function readMarker(ctx: Ctx, id: string): Promise<Record<string, unknown>> {
  const fault = () => invalid("marker", `Invalid marker: there is no image ${JSON.stringify(id)}.`)
  if (!isImageId(id)) throw fault()
  const found = await sql<Record<string, unknown>>`
    select i.id, i.name, i.status, i.container_format, i.disk_format, i.size_bytes as size, i.created_at, i.updated_at
    from image.image i where i.id = ${id} and ${isVisible(ctx)}`.execute(ctx.db)
  const row = found.rows[0]
  if (!row) throw fault()
  return row
}

function conditions(ctx: Ctx, input: ImageListInput): RawBuilder<unknown>[] {
  const { projectId } = ctx.caller
  const all: RawBuilder<unknown>[] = [
    sql`i.status <> 'killed'`,
    listed(ctx, input.memberStatus),
    sql`i.is_hidden = ${input.isHidden}`,
  ]
  if (input.visibility !== null) {
    if (input.visibility !== "all") all.push(sql`i.visibility = ${input.visibility}`)
  } else if (projectId) {
    all.push(sql`(i.visibility <> 'community' or i.project_id = ${projectId})`)
  } else {
    all.push(sql`i.visibility <> 'community'`)
  }
  if (input.isProtected !== null) all.push(sql`i.is_protected = ${input.isProtected}`)
  if (input.tags.length > 0) all.push(sql`i.tags @> ${input.tags}::text[]`)
  for (const filter of input.filters) all.push(condition(filter))
  return all
}

/** Narrower than what may be shown: images that others share appear when the caller's project has answered so. */
function listed(ctx: Ctx, memberStatus: ImageListInput["memberStatus"]): RawBuilder<unknown> {
  const { caller } = ctx
  if (isAdmin(ctx)) return sql`true`
  const open = sql`i.visibility in ('public', 'community')`
  if (!caller.projectId) return open
  const answered = memberStatus === "all" ? sql`true` : sql`m.status = ${memberStatus}`
  return sql`(${open} or i.project_id = ${caller.projectId} or (i.visibility = 'shared' and exists (
    select from image.member m
    where m.image_id = i.id and m.member_id = ${caller.projectId} and ${answered})))`
}

const texts: Readonly<Record<string, RawBuilder<unknown>>> = {
  name: sql`i.name`,
  status: sql`i.status`,
  container_format: sql`i.container_format`,
  disk_format: sql`i.disk_format`,
  owner: sql`i.project_id`,
  checksum: sql`i.checksum`,
  os_hash_algo: sql`i.os_hash_algo`,
  os_hash_value: sql`i.os_hash_value`,
}

const amounts: Readonly<Record<string, RawBuilder<unknown>>> = {
  size: sql`i.size_bytes`,
  virtual_size: sql`i.virtual_size_bytes`,
  min_disk: sql`i.min_disk_gib`,
  min_ram: sql`i.min_ram_mib`,
}

const times: Readonly<Record<string, RawBuilder<unknown>>> = {
  created_at: sql`date_trunc('second', i.created_at)`,
  updated_at: sql`date_trunc('second', i.updated_at)`,
}

const comparisons: Readonly<Record<string, RawBuilder<unknown>>> = {
  eq: sql`=`,
  neq: sql`<>`,
  gt: sql`>`,
  gte: sql`>=`,
  lt: sql`<`,
  lte: sql`<=`,
}

function condition({ name, op, values }: ImageFilter): RawBuilder<unknown> {
  const value = values[0] ?? ""
  const range = /^(size|virtual_size|min_disk|min_ram)_(min|max)$/.exec(name)
  if (range) {
    const column = amounts[range[1] ?? ""] ?? sql`null`
    return range[2] === "min"
      ? sql`${column} >= ${integer(name, value)}`
      : sql`${column} <= ${integer(name, value)}`
  }
  if (name === "id") return sql`i.id = any(${values.filter(isImageId)}::uuid[])`
  const time = times[name]
  if (time) return sql`${time} ${comparisons[op] ?? sql`=`} ${instant(name, value)}::timestamptz`
  const text = texts[name]
  if (text) {
    // Nobody's text has a NUL, and PostgreSQL refuses to look for one.
    if (values.some((v) => v.includes("\0"))) return sql`false`
    return op === "in" ? sql`${text} = any(${values}::text[])` : sql`${text} = ${value}`
  }
  const number = amounts[name]
  if (number) return sql`${number} = ${integer(name, value)}`
  if (value.includes("\0") || name.includes("\0")) return sql`false`
  return sql`i.properties @> ${JSON.stringify({ [name]: value })}::jsonb`
}

function integer(name: string, value: string): number {
  const number = Number(value)
  if (!/^\s*-?\d+\s*$/.test(value) || !Number.isSafeInteger(number))
    throw invalid(name, `Unable to filter on a range with a non-numeric value: ${name}=${value}.`)
  return number
}

const iso8601 = /^\d{4}-\d{2}-\d{2}(T\d{2}(:?\d{2}(:?\d{2}([.,]\d+)?)?)?(Z|[+-]\d{2}(:?\d{2})?)?)?$/i

function instant(name: string, value: string): Date {
  // A time without a zone is UTC.
  const text = /T.*(Z|[+-]\d{2}(:?\d{2})?)$/i.test(value) || !value.includes("T") ? value : `${value}Z`
  const date = new Date(text)
  if (!iso8601.test(value) || Number.isNaN(date.getTime()))
    throw invalid(name, `Bad "${name}" query filter format. Use ISO 8601 DateTime notation.`)
  return date
}
