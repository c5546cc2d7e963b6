// Changes of the list of places by those who may see it (`image.showMultipleLocations`): as Glance's PATCH of
// `locations`. An image whose first place comes so is active at once; no machine boots it before its data were read.
import { sql } from "kysely"
import { type Static, Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { jsonb, type Tx, transact } from "../../platform/db/database.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { type Authorization, operation } from "../../platform/operation/operation.ts"
import { fileName } from "../data/paths.ts"
import {
  dataTooLarge,
  imageGone,
  imageNotFound,
  importUnderway,
  limitExceeded,
  locationConflict,
  locationNeedsStore,
  locationNotNow,
  locationsHidden,
  locationsNeverEmpty,
} from "../faults.ts"
import { announceImage } from "../image/events.ts"
import type { Image, Place } from "../image/image.ts"
import { imageFields, imageTarget, lockImage, touchImage, visibleImage } from "../image/store.ts"
import { openAddress } from "../import/web-download.ts"
import { Claim, checkClaim, storeOfAddress } from "./check.ts"
import { readSaga } from "./read.saga.ts"
import { checkIdle, removePlaceFiles } from "./rows.ts"

const Named = Type.Object({
  url: Type.String(),
  metadata: Type.Record(Type.String(), Type.Unknown()),
  claim: Type.Union([Claim, Type.Null()]),
})
type Named = Static<typeof Named>

const Change = Type.Union([
  /** Null: at the end. */
  Type.Object({ op: Type.Literal("add"), at: Type.Union([Type.Integer(), Type.Null()]), location: Named }),
  Type.Object({ op: Type.Literal("replace"), locations: Type.Array(Named) }),
  /** Null: the last one. */
  Type.Object({ op: Type.Literal("remove"), at: Type.Union([Type.Integer(), Type.Null()]) }),
])
export type LocationChange = Static<typeof Change>

/** The name of a place as users see and say it. */
export function addressOf({ store, file, url }: Pick<Place, "store" | "file" | "url">): string {
  return url ?? `file://${store}/${file}`
}

export const changeLocations = operation({
  name: "image.location.change",
  input: Type.Object({ imageId: Type.String(), changes: Type.Array(Change) }),
  faults: [
    imageNotFound,
    importUnderway,
    limitExceeded,
    locationConflict,
    locationNeedsStore,
    locationNotNow,
    locationsHidden,
    locationsNeverEmpty,
  ],
  load: (ctx, { imageId }) => visibleImage(ctx, imageId),
  rules: ["set_image_location", "delete_image_location"],
  authorize: (ctx, { changes }, found) => {
    if (!ctx.config.image.showMultipleLocations) throw locationsHidden()
    const target = imageTarget(found)
    return changes.map(
      ({ op }): Authorization => [op === "remove" ? "delete_image_location" : "set_image_location", target],
    )
  },
  run: async (ctx, { changes, imageId }, found): Promise<Image> => {
    checkStatus(found, changes)
    const size = await sizeOfFirst(ctx, changes, found)
    const { image, gone } = await transact(ctx.db, async (tx) => {
      const image = await lockImage(tx, imageId)
      if (!image) throw imageNotFound(imageId)
      checkStatus(image, changes)
      checkIdle(image)
      const places = changes.reduce((list, change) => applied(ctx, list, change), [...image.places])
      const { locationMax } = ctx.config.image
      if (places.length > locationMax) throw limitExceeded("locations", locationMax)
      const claim = claimOf(image, changes)
      await writePlaces(tx, imageId, places, ctx.clock.now())
      const isFirst = image.status === "queued"
      const changed = isFirst
        ? await activate(tx, ctx, { image, place: places[0], claim, size })
        : await touchImage(tx, imageId, ctx.clock.now())
      await announceImage(tx, ctx, isFirst ? "activate" : "update", changed)
      const kept = new Set(places.map(addressOf))
      return { image: changed, gone: image.places.filter((place) => !kept.has(addressOf(place))) }
    })
    await removePlaceFiles(ctx, gone)
    return image
  },
})

const possible = { add: ["active", "queued"], replace: ["active", "queued"], remove: ["active"] } as const

function checkStatus({ status }: Image, changes: readonly LocationChange[]): void {
  for (const { op } of changes) {
    const statuses: readonly string[] = possible[op]
    if (!statuses.includes(status)) throw locationNotNow(op, status)
  }
}

function applied(ctx: Ctx, places: readonly Place[], change: LocationChange): Place[] {
  if (change.op === "add") {
    const place = newPlace(ctx, places, change.location)
    const at = change.at ?? places.length
    if (at > places.length) throw invalid("path", "Invalid position for adding a location.")
    return places.toSpliced(at, 0, place)
  }
  if (change.op === "remove") {
    if (places.length === 1) throw locationsNeverEmpty("Cannot remove last location in the image.")
    const at = change.at ?? places.length - 1
    if (at < 0 || at >= places.length) throw invalid("path", "Invalid position for removing a location.")
    return places.toSpliced(at, 1)
  }
  if (change.locations.length === 0) throw locationsNeverEmpty("Cannot set locations to empty list.")
  if (places.length === 0) {
    const list: Place[] = []
    for (const named of change.locations) list.push(newPlace(ctx, list, named))
    return list
  }
  return replaced(places, change.locations)
}

function newPlace(ctx: Ctx, places: readonly Place[], { url, metadata }: Named): Place {
  if (places.some((place) => addressOf(place) === url))
    throw invalid("url", `The location ${url} already exists`)
  return { store: storeOfAddress(ctx, url), file: null, url, metadata: ownMetadata(metadata) }
}

/** The same places: in another order, with other words on them. */
function replaced(places: readonly Place[], named: readonly Named[]): Place[] {
  const byAddress = new Map(places.map((place) => [addressOf(place), place]))
  const kept = named.flatMap(({ url, metadata }) => {
    const place = byAddress.get(url)
    return place ? [{ ...place, metadata: ownMetadata(metadata) }] : []
  })
  const isSame = kept.length === named.length && named.length === places.length
  if (!isSame || new Set(kept.map(addressOf)).size < places.length)
    throw invalid(
      "locations",
      "Original locations is not empty: other locations cannot take the place of them.",
    )
  return kept
}

/** The cloud itself says which store it is. */
function ownMetadata({ store: _, ...own }: Record<string, unknown>): Record<string, unknown> {
  return own
}

/** What the new places are said to hold, all together; throws when that cannot be. */
function claimOf(image: Image, changes: readonly LocationChange[]): Claim | null {
  const named = changes.flatMap((change) =>
    change.op === "add" ? [change.location] : change.op === "replace" ? change.locations : [],
  )
  let all: Claim | null = null
  for (const { claim } of named) {
    if (claim === null) continue
    for (const key of ["checksum", "osHashAlgo", "osHashValue"] as const) {
      const [said, before, is] = [claim[key], all?.[key], image[key]]
      if (said !== undefined && before !== undefined && said !== before)
        throw locationConflict(`Conflicting values for ${names[key]}`)
      if (said !== undefined && is !== null && said !== is)
        throw locationConflict(`${names[key]} is already set with a different value`)
      if (said !== undefined && is === null && image.status !== "queued")
        throw locationConflict(
          `New value(s) for ${names[key]} may only be provided when image status is 'queued'`,
        )
    }
    all = all === null ? claim : Object.assign({}, all, claim)
  }
  if (all !== null) checkClaim(all)
  return all
}

const names = { checksum: "checksum", osHashAlgo: "os_hash_algo", osHashValue: "os_hash_value" } as const

/** Asked before anything is written: an address that does not answer is none that an image could have. */
async function sizeOfFirst(
  ctx: Ctx,
  changes: readonly LocationChange[],
  { places, sizeBytes }: Image,
): Promise<number | null> {
  const known = new Set(places.map(addressOf))
  const named = changes.flatMap((change) =>
    change.op === "add" ? [change.location] : change.op === "replace" ? change.locations : [],
  )
  const { locationMax, sizeMaxBytes } = ctx.config.image
  if (named.length > locationMax) throw limitExceeded("locations", locationMax)
  let size = sizeBytes
  for (const { url } of named) {
    if (known.has(url)) continue
    storeOfAddress(ctx, url)
    const opened = await openAddress(url, ctx.config, { signal: AbortSignal.timeout(askTimeoutMs) }).catch(
      (error: Error) => {
        throw invalid("url", error.message)
      },
    )
    await opened.close()
    if ((opened.sizeBytes ?? 0) > sizeMaxBytes) throw dataTooLarge(sizeMaxBytes)
    size ??= opened.sizeBytes
  }
  return size
}

const askTimeoutMs = 30_000

async function writePlaces(tx: Tx, imageId: string, places: readonly Place[], now: Date): Promise<void> {
  await tx.deleteFrom("image.location").where("image_id", "=", imageId).execute()
  const rows = places.map(({ store, file, url, metadata }, position) => ({
    ...{ image_id: imageId, position, store, file, url },
    metadata: jsonb(metadata),
    created_at: now,
  }))
  await tx.insertInto("image.location").values(rows).execute()
}

async function activate(
  tx: Tx,
  ctx: Ctx,
  {
    image,
    place,
    claim,
    size,
  }: { image: Image; place: Place | undefined; claim: Claim | null; size: number | null },
): Promise<Image> {
  if (!place?.url) throw new Error(`image ${image.id} has no first location`)
  const file = fileName(image.id, newUuid())
  const changed = await tx
    .updateTable("image.image")
    .set({
      status: "active",
      size_bytes: size,
      checksum: claim?.checksum ?? null,
      os_hash_algo: claim?.osHashAlgo ?? null,
      os_hash_value: claim?.osHashValue ?? null,
      // Hosts find images that they have by their sums: one that is only said could be of another project's data.
      read_checksum: "",
      content_problem: "its data were not read yet",
      staged_file: file,
      generation: sql`generation + 1`,
      updated_at: ctx.clock.now(),
    })
    .where("id", "=", image.id)
    .where("transfer_id", "is", null)
    .returning(imageFields)
    .$castTo<Image>()
    .executeTakeFirst()
  if (!changed) throw imageGone(image.id)
  await ctx.sagas.start(
    tx,
    readSaga,
    {
      ...{ imageId: image.id, taskId: null, file, store: place.store, url: place.url, claim },
      algorithm: claim === null ? "sha512" : checkClaim(claim),
    },
    { requestId: ctx.requestId, resourceId: image.id },
  )
  return changed
}
