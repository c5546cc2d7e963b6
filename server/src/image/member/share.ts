// Sharing an image: the owner names projects, each of them accepts or rejects.
import { type Selectable, sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { transact, violatedConstraint } from "../../platform/db/database.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { operation } from "../../platform/operation/operation.ts"
import { imageNotFound, limitExceeded, memberExists, memberNotAllowed, memberNotFound } from "../faults.ts"
import type { Image } from "../image/image.ts"
import { imageTarget, isAdmin, visibleImage } from "../image/store.ts"
import type { MemberTable } from "../tables.ts"
import { type Member, memberStatuses } from "./member.ts"

function toMember(row: Selectable<MemberTable>): Member {
  return {
    imageId: row.image_id,
    memberId: row.member_id,
    status: row.status,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

function checkShared(image: Image, action: string): void {
  if (image.visibility !== "shared")
    throw memberNotAllowed(action, image.id, "Only shared images have members.")
}

/** Of the others that share an image a member learns nothing. */
function mayKnow(ctx: Ctx, image: Image, memberId: string): boolean {
  return isAdmin(ctx) || image.projectId === ctx.caller.projectId || memberId === ctx.caller.projectId
}

const ImageAndMember = Type.Object({ imageId: Type.String(), memberId: Type.String() })

export const addImageMember = operation({
  name: "image.member.add",
  input: ImageAndMember,
  faults: [imageNotFound, memberNotAllowed, memberExists, limitExceeded],
  load: (ctx, { imageId }) => visibleImage(ctx, imageId),
  rules: ["add_member"],
  authorize: (_ctx, _input, found) => {
    checkShared(found, "create")
    return [["add_member", imageTarget(found)]]
  },
  run: async (ctx, { imageId, memberId }): Promise<Member> => {
    if (memberId.length === 0 || memberId.length > 255 || memberId.includes("\0"))
      throw invalid("member", "Member must be the id of a project, of 1 to 255 characters.")
    return await transact(ctx.db, async (tx) => {
      // The image's row is the lock: of two that take the last place one sees the other.
      await sql`select from image.image where id = ${imageId} for update`.execute(tx)
      const { n } = await tx
        .selectFrom("image.member")
        .select((eb) => eb.fn.countAll<number>().as("n"))
        .where("image_id", "=", imageId)
        .executeTakeFirstOrThrow()
      const most = ctx.config.image.memberMax
      if (most >= 0 && n >= most) throw limitExceeded("members", most)
      const now = ctx.clock.now()
      try {
        const row = await tx
          .insertInto("image.member")
          .values({
            image_id: imageId,
            member_id: memberId,
            status: "pending",
            created_at: now,
            updated_at: now,
          })
          .returningAll()
          .executeTakeFirstOrThrow()
        return toMember(row)
      } catch (error) {
        if (violatedConstraint(error) === "member_pkey") throw memberExists(memberId, imageId)
        if (violatedConstraint(error) === "member_image_id_fkey") throw imageNotFound(imageId)
        throw error
      }
    })
  },
})

export const listImageMembers = operation({
  name: "image.member.list",
  input: Type.Object({ imageId: Type.String() }),
  faults: [imageNotFound, memberNotAllowed],
  load: (ctx, { imageId }) => visibleImage(ctx, imageId),
  rules: ["get_members"],
  authorize: (_ctx, _input, found) => {
    checkShared(found, "list")
    return [["get_members", imageTarget(found)]]
  },
  run: async (ctx, { imageId }, found): Promise<Member[]> => {
    const rows = await ctx.db
      .selectFrom("image.member")
      .selectAll()
      .where("image_id", "=", imageId)
      .orderBy("created_at")
      .orderBy("member_id")
      .execute()
    const members = rows.map(toMember)
    return members.filter((m) => mayKnow(ctx, found, m.memberId))
  },
})

interface Found {
  image: Image
  member: Member
}

export const showImageMember = operation({
  name: "image.member.show",
  input: ImageAndMember,
  faults: [imageNotFound, memberNotFound],
  load: async (ctx, { imageId, memberId }): Promise<Found> => {
    const found = await visibleImage(ctx, imageId)
    // 404 and not 403: whether others share the image is not everybody's to know.
    const isAllowed =
      found.visibility === "shared" &&
      mayKnow(ctx, found, memberId) &&
      ctx.policy.isAllowed(ctx.caller, "get_member", imageTarget(found))
    const row = isAllowed
      ? await ctx.db
          .selectFrom("image.member")
          .selectAll()
          .where("image_id", "=", imageId)
          .where("member_id", "=", memberId)
          .executeTakeFirst()
      : undefined
    if (!row) throw memberNotFound(memberId, imageId)
    return { image: found, member: toMember(row) }
  },
  rule: "get_member",
  target: (_ctx, _input, { image }) => imageTarget(image),
  run: async (_ctx, _input, { member }): Promise<Member> => member,
})

export const updateImageMember = operation({
  name: "image.member.update",
  input: Type.Object({ imageId: Type.String(), memberId: Type.String(), status: Type.String() }),
  faults: [imageNotFound, memberNotFound, memberNotAllowed],
  load: (ctx, { imageId }) => visibleImage(ctx, imageId),
  rules: ["get_member", "modify_member"],
  authorize: (_ctx, _input, found) => {
    checkShared(found, "update")
    return [
      ["get_member", imageTarget(found)],
      ["modify_member", imageTarget(found)],
    ]
  },
  run: async (ctx, { imageId, memberId, status }, image): Promise<Member> => {
    if (!mayKnow(ctx, image, memberId)) throw memberNotFound(memberId, imageId)
    const wanted = memberStatuses.find((s) => s === status)
    if (!wanted)
      throw invalid("status", 'Incorrect request: Status must be "pending", "accepted" or "rejected".')
    const row = await ctx.db
      .updateTable("image.member")
      .set({ status: wanted, updated_at: ctx.clock.now() })
      .where("image_id", "=", imageId)
      .where("member_id", "=", memberId)
      .returningAll()
      .executeTakeFirst()
    if (!row) throw memberNotFound(memberId, imageId)
    return toMember(row)
  },
})

export const removeImageMember = operation({
  name: "image.member.remove",
  input: ImageAndMember,
  faults: [imageNotFound, memberNotFound, memberNotAllowed],
  load: (ctx, { imageId }) => visibleImage(ctx, imageId),
  rules: ["delete_member"],
  authorize: (_ctx, _input, found) => {
    checkShared(found, "delete")
    return [["delete_member", imageTarget(found)]]
  },
  run: async (ctx, { imageId, memberId }): Promise<void> => {
    const done = await ctx.db
      .deleteFrom("image.member")
      .where("image_id", "=", imageId)
      .where("member_id", "=", memberId)
      .executeTakeFirst()
    if (done.numDeletedRows === 0n) throw memberNotFound(memberId, imageId)
  },
})
