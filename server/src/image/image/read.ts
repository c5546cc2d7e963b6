// One image, and lists of them: who sees which, filters, order, pages. One statement a page.
import { type RawBuilder, sql } from "kysely"
import { type Static, Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import type { SortKey } from "../../platform/http/paging.ts"
import { type Field, publicName } from "../../platform/noun/field.ts"
import { type Comparator, type Compared, listThings } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { imageNotFound } from "../faults.ts"
import { type Image, type ImageViewer, imageNoun } from "./image.ts"
import { imageTarget, imageViewerOf, isAdmin, visibleImage } from "./store.ts"

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

export const getImage = operation({
  name: "image.image.get",
  input: Type.Object({ imageId: Type.String() }),
  faults: [imageNotFound],
  load: (ctx, { imageId }) => visibleImage(ctx, imageId),
  rule: "get_image",
  target: (_ctx, _input, found) => imageTarget(found),
  run: async (_ctx, _input, image) => image,
})

export const listImages = operation({
  name: "image.image.list",
  input: Input,
  rule: "get_images",
  target: (ctx) => ({ project_id: ctx.caller.projectId }),
  run: async (ctx, input): Promise<ImagePage> => {
    const { filters, also } = conditions(ctx, input)
    const page = { limit: input.limit, marker: input.marker, sorts: sortsOf(input), isReverse: false }
    const rows = await listThings(ctx.db, imageNoun, viewerOf(ctx, input), { filters, also, page }).catch(
      (error: unknown) => {
        // In a list it is the marker that names nothing.
        throw imageNotFound.is(error) ? badMarker(input.marker) : error
      },
    )
    // Of the rows as they were read: rules may have taken the last ones out, or all.
    const last = rows.at(-1)
    return {
      images: rows.filter((image) => ctx.policy.isAllowed(ctx.caller, "get_image", imageTarget(image))),
      nextMarker: rows.length === input.limit && last ? last.id : null,
    }
  },
})

/** Of the images that the caller sees: those of this name, two at the most, by their ids. */
export async function imagesNamed(ctx: Ctx, name: string): Promise<string[]> {
  const { images } = await listImages(ctx, {
    filters: [{ name: "name", op: "eq", values: [name] }],
    memberStatus: "accepted",
    ...{ visibility: null, isHidden: false, isProtected: null, tags: [], limit: 2, marker: null, sorts: [] },
  })
  return images.map(({ id }) => id)
}

function badMarker(marker: string | null) {
  return invalid("marker", `Invalid marker: there is no image ${JSON.stringify(marker)}.`)
}

const byName: ReadonlyMap<string, { key: string; field: Field }> = new Map(
  Object.entries(imageNoun.fields).map(([key, field]) => [publicName(key, field), { key, field }]),
)

/** Public names. */
export const imageSortKeys: readonly string[] = [...byName].flatMap(([name, { field }]) =>
  field.abilities.sort ? [name] : [],
)

function sortsOf({ sorts }: ImageListInput): SortKey[] {
  const keys = sorts.map(({ key, direction }) => ({ key: byName.get(key)?.key ?? key, direction }))
  if (keys.some(({ key }) => key === "createdAt")) return keys
  return [...keys, { key: "createdAt", direction: sorts[0]?.direction ?? "desc" }]
}

interface Conditions {
  filters: Record<string, readonly string[] | Compared[]>
  also: RawBuilder<boolean>[]
}

function conditions(ctx: Ctx, input: ImageListInput): Conditions {
  const { projectId } = ctx.caller
  const also = [sql<boolean>`image.status <> 'killed'`]
  const filters: Conditions["filters"] = { isHidden: [String(input.isHidden)] }
  if (input.visibility !== null && input.visibility !== "all") filters.visibility = [input.visibility]
  if (input.visibility === null && isAdmin(ctx))
    also.push(sql<boolean>`(image.visibility <> 'community' or image.project_id = ${projectId})`)
  if (input.isProtected !== null) filters.isProtected = [String(input.isProtected)]
  if (input.tags.length > 0) filters.tags = input.tags
  for (const filter of input.filters) addFilter({ filters, also }, filter)
  return { filters, also }
}

/** Community images of others appear to who asks for them, what others share to the project that has answered so. */
function viewerOf(ctx: Ctx, { visibility, memberStatus }: ImageListInput): ImageViewer {
  const community = visibility === "community" || visibility === "all"
  return { ...imageViewerOf(ctx), shows: { community, answered: memberStatus } }
}

const comparatorOf = {
  eq: "equal",
  in: "equal",
  neq: "unequal",
  gt: "above",
  gte: "atLeast",
  lt: "below",
  lte: "atMost",
} as const satisfies Record<ImageFilter["op"], Comparator>

function addFilter({ filters, also }: Conditions, { name, op, values }: ImageFilter): void {
  const value = values[0] ?? ""
  const compare = (key: string, by: Comparator, right: Compared["value"]) => {
    const before = filters[key] ?? []
    filters[key] = [...(before as Compared[]), { by, value: right }]
  }
  const [, amount = "", end] = /^(size|virtual_size|min_disk|min_ram)_(min|max)$/.exec(name) ?? []
  const found = byName.get(end ? amount : name)
  if (found && end) compare(found.key, end === "min" ? "atLeast" : "atMost", integer(name, value))
  else if (!found?.field.abilities.filter) {
    const isPossible = !value.includes("\0") && !name.includes("\0")
    const named = JSON.stringify({ [name]: value })
    also.push(isPossible ? sql<boolean>`image.properties @> ${named}::jsonb` : sql<boolean>`false`)
  } else if (found.field.kind === "time") compare(found.key, comparatorOf[op], instant(name, value))
  else if (found.field.kind === "integer") compare(found.key, "equal", integer(name, value))
  else filters[found.key] = op === "in" || found.key === "id" ? values : [value]
}

function integer(name: string, value: string): number {
  const number = Number(value)
  if (!/^\s*-?\d+\s*$/.test(value) || !Number.isSafeInteger(number))
    throw invalid(name, `Unable to filter on a range with a non-numeric value: ${name}=${value}.`)
  return number
}

const iso8601 = /^\d{4}-\d{2}-\d{2}(T\d{2}(?::?\d{2}(?::?\d{2}(?:[.,]\d+)?)?)?(Z|[+-]\d{2}(?::?\d{2})?)?)?$/i

function instant(name: string, value: string): Date {
  // A time without a zone is UTC.
  const [read, clock, zone] = iso8601.exec(value) ?? []
  const date = new Date(clock === undefined || zone !== undefined ? value : `${value}Z`)
  if (read === undefined || Number.isNaN(date.getTime()))
    throw invalid(name, `Bad "${name}" query filter format. Use ISO 8601 DateTime notation.`)
  return date
}
