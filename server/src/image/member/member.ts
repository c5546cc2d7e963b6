// A project that an image is shared with, and what it says to that: the owner names projects, each accepts or rejects.
import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { type DbOrTx, transact, violatedConstraint } from "../../platform/db/database.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { text, time, uuid, word } from "../../platform/noun/field.ts"
import { insertThing, listThings } from "../../platform/noun/list.ts"
import { fieldsOf, noun, type Thing, visibleToAll } from "../../platform/noun/noun.ts"
import { operation } from "../../platform/operation/operation.ts"
import { imageNotFound, limitExceeded, memberExists, memberNotAllowed, memberNotFound } from "../faults.ts"
import type { Image } from "../image/image.ts"
import { imageTarget, isAdmin, visibleImage } from "../image/store.ts"

export const memberStatuses = ["pending", "accepted", "rejected"] as const
export type MemberStatus = (typeof memberStatuses)[number]

/** Who looks at the members of an image: who may know all of them, or a project that knows of itself only. */
export type MemberViewer = "all" | { projectId: string | null }

/** Within its image: `memberId` names one there. */
export const memberNoun = noun({
  name: "image.member",
  table: sql`image.member`,
  alias: "m",
  fields: {
    imageId: uuid(sql`m.image_id`, { filter: true }),
    memberId: text(sql`m.member_id`, { filter: true }),
    status: word(memberStatuses, sql`m.status`, { update: true }),
    createdAt: time(sql`m.created_at`),
    updatedAt: time(sql`m.updated_at`),
  },
  key: "memberId",
  visible: (viewer: MemberViewer) => {
    if (viewer === "all") return visibleToAll
    const own = sql<boolean>`m.member_id = ${viewer.projectId}`
    return { row: own, main: own, others: [] }
  },
  notFound: memberNotFound,
})

export type Member = Thing<typeof memberNoun>

/** Of the others that share an image a member learns nothing. */
function viewerOf(ctx: Ctx, image: Image): MemberViewer {
  const { projectId } = ctx.caller
  return isAdmin(ctx) || image.projectId === projectId ? "all" : { projectId }
}

async function findMember(
  db: DbOrTx,
  viewer: MemberViewer,
  imageId: string,
  memberId: string,
): Promise<Member | undefined> {
  const filters = { imageId: [imageId], memberId: [memberId] }
  return (await listThings(db, memberNoun, viewer, { filters }))[0]
}

function checkShared(image: Image, action: string): void {
  if (image.visibility !== "shared")
    throw memberNotAllowed(action, image.id, "Only shared images have members.")
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
        const values = {
          image_id: imageId,
          member_id: memberId,
          status: "pending",
          created_at: now,
          updated_at: now,
        }
        const member = await insertThing(tx, memberNoun, "all", { values, constraint: "member_pkey" })
        if (!member) throw memberExists(memberId, imageId)
        return member
      } catch (error) {
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
  run: async (ctx, { imageId }, found): Promise<Member[]> =>
    await listThings(ctx.db, memberNoun, viewerOf(ctx, found), { filters: { imageId: [imageId] } }),
})

interface Found {
  image: Image
  member: Member
}

export const getImageMember = operation({
  name: "image.member.get",
  input: ImageAndMember,
  faults: [imageNotFound, memberNotFound],
  load: async (ctx, { imageId, memberId }): Promise<Found> => {
    const found = await visibleImage(ctx, imageId)
    // 404 and not 403: whether others share the image is not everybody's to know.
    const isAllowed =
      found.visibility === "shared" && ctx.policy.isAllowed(ctx.caller, "get_member", imageTarget(found))
    const member = isAllowed ? await findMember(ctx.db, viewerOf(ctx, found), imageId, memberId) : undefined
    if (!member) throw memberNotFound(memberId, imageId)
    return { image: found, member }
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
    const viewer = viewerOf(ctx, image)
    if (viewer !== "all" && viewer.projectId !== memberId) throw memberNotFound(memberId, imageId)
    const wanted = memberStatuses.find((s) => s === status)
    if (!wanted)
      throw invalid("status", 'Incorrect request: Status must be "pending", "accepted" or "rejected".')
    const member = await ctx.db
      .updateTable("image.member as m")
      .set({ status: wanted, updated_at: ctx.clock.now() })
      .where("m.image_id", "=", imageId)
      .where("m.member_id", "=", memberId)
      .returning(fieldsOf(memberNoun, viewer))
      .$castTo<Member>()
      .executeTakeFirst()
    if (!member) throw memberNotFound(memberId, imageId)
    return member
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
