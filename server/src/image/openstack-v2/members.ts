import { invalid } from "../../platform/fault/fault.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import {
  addImageMember,
  addImageTag,
  getImageMember,
  listImageMembers,
  removeImageMember,
  removeImageTag,
  updateImageMember,
} from "../index.ts"
import { viewMember } from "./image-view.ts"
import { told } from "./told.ts"

const ids = (req: WireRequest) => ({
  imageId: req.params.image_id ?? "",
  memberId: req.params.member_id ?? "",
})

/** The one member of the body that counts; Glance ignores what else is there. */
function readText(body: unknown, name: string, missing: string): string {
  if (body === undefined || body === null) throw invalid("body", "Body expected in request.")
  const value: unknown = typeof body === "object" ? Reflect.get(body, name) : undefined
  if (value === undefined) throw invalid(name, missing)
  if (typeof value !== "string" || value === "")
    throw invalid(name, `${name} must be a string that is not empty.`)
  return value
}

const tagMax = 255

function readTag(req: WireRequest) {
  const tag = req.params.tag ?? ""
  if (tag.length === 0 || tag.length > tagMax || tag.includes("\0"))
    throw invalid("tag", `A tag has 1 to ${tagMax} characters.`)
  return { imageId: req.params.image_id ?? "", tag }
}

export const memberRoutes: Route[] = [
  route({
    method: "POST",
    path: "/images/{image_id}/members",
    operation: addImageMember,
    told: told.newMember,
    status: 200,
    handler: async (ctx, req) => {
      const memberId = readText(req.body, "member", "Member to be added not specified")
      return viewMember(await addImageMember(ctx, { ...ids(req), memberId }))
    },
  }),
  route({
    method: "GET",
    path: "/images/{image_id}/members",
    operation: listImageMembers,
    told: told.members,
    handler: async (ctx, req) => ({
      members: (await listImageMembers(ctx, { imageId: req.params.image_id ?? "" })).map(viewMember),
      schema: "/v2/schemas/members",
    }),
  }),
  route({
    method: "GET",
    path: "/images/{image_id}/members/{member_id}",
    operation: getImageMember,
    told: told.member,
    handler: async (ctx, req) => viewMember(await getImageMember(ctx, ids(req))),
  }),
  route({
    method: "PUT",
    path: "/images/{image_id}/members/{member_id}",
    operation: updateImageMember,
    told: told.memberChange,
    handler: async (ctx, req) => {
      const status = readText(req.body, "status", "Status not specified")
      return viewMember(await updateImageMember(ctx, { ...ids(req), status }))
    },
  }),
  route({
    method: "DELETE",
    path: "/images/{image_id}/members/{member_id}",
    operation: removeImageMember,
    handler: (ctx, req) => removeImageMember(ctx, ids(req)),
  }),
  route({
    method: "PUT",
    path: "/images/{image_id}/tags/{tag}",
    operation: addImageTag,
    status: 204,
    handler: (ctx, req) => addImageTag(ctx, readTag(req)),
  }),
  route({
    method: "DELETE",
    path: "/images/{image_id}/tags/{tag}",
    operation: removeImageTag,
    handler: (ctx, req) => removeImageTag(ctx, readTag(req)),
  }),
]
