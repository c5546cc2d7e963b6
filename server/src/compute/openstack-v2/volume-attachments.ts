// Volumes of a server, by Nova's name for it. An attachment is named by its volume.
import { flag, from, many, one, shape, text, textOrNull, until } from "../../api/openstack/shape.ts"
import { type Table, view } from "../../api/openstack/view.ts"
import { atLeast } from "../../platform/http/microversion.ts"
import { boundedLimit } from "../../platform/http/paging.ts"
import { queryInteger } from "../../platform/http/query.ts"
import { type BodyOf, versions } from "../../platform/http/versions.ts"
import { type Route, route, type WireRequest } from "../../platform/http/wire.ts"
import { typed } from "../../platform/schema/make.ts"
import {
  type AttachedDevice,
  attachVolume,
  detachVolume,
  listServerVolumes,
  showServerVolume,
  swapServerVolume,
  updateServerVolume,
} from "../index.ts"
import { checkQueryNames, toldQuery } from "./query-names.ts"
import { bodyOf, boolean, readBoolean, tag, uuid } from "./schema-parts.ts"

const attached: Table<AttachedDevice> = {
  ...{ id: [until("2.89", text), "volumeId"], volumeId: [text, "volumeId"], serverId: [text, "serverId"] },
  ...{ device: [text, "deviceName"], tag: [from("2.70", textOrNull), "tag"] },
  delete_on_termination: [from("2.79", flag), "deleteOnTermination"],
}
const shown = view<AttachedDevice>("VolumeAttachment", {
  ...attached,
  ...{ attachment_id: [from("2.89", textOrNull), "attachmentId"], bdm_uuid: [from("2.89", text), "id"] },
})
/** Its id stays in the answer to who attaches. */
const made = view<AttachedDevice>("VolumeAttachmentMade", { ...attached, id: [text, "volumeId"] })

const device = typed(["string", "null"], { pattern: "(^/dev/x{0,1}[a-z]{0,1}d{0,1})([a-z]+)[0-9]*$" })
const asked = { volumeId: uuid, device }
const asked249 = { ...asked, tag }
const attachBodies = versions({
  "2.1": bodyOf("volumeAttachment", asked, ["volumeId"]),
  "2.49": bodyOf("volumeAttachment", asked249, ["volumeId"]),
  "2.79": bodyOf("volumeAttachment", { ...asked249, delete_on_termination: boolean }, ["volumeId"]),
})
const updateBodies = versions({
  "2.1": bodyOf("volumeAttachment", asked, ["volumeId"]),
  "2.85": bodyOf(
    "volumeAttachment",
    { ...asked249, delete_on_termination: boolean, serverId: uuid, id: uuid },
    ["volumeId"],
  ),
})
type UpdateBody = BodyOf<typeof updateBodies>

const serverOf = (req: WireRequest) => req.params.server_id ?? ""
const attachmentOf = (req: WireRequest) => ({
  serverId: serverOf(req),
  volumeId: req.params.volume_id ?? "",
})
const parameters = ["limit", "offset"]

async function update(ctx: Parameters<typeof updateServerVolume>[0], req: WireRequest<UpdateBody>) {
  const { volumeAttachment: said } = req.body
  const attachment = attachmentOf(req)
  const isSwap = said.volumeId !== attachment.volumeId
  if (isSwap || !atLeast(req.version, "2.85"))
    return await swapServerVolume(ctx, { ...attachment, newVolumeId: said.volumeId })
  await updateServerVolume(ctx, {
    ...attachment,
    ...(said.device !== undefined && { device: said.device }),
    ...(said.tag !== undefined && { tag: said.tag }),
    ...(said.id !== undefined && { id: said.id }),
    ...(said.serverId !== undefined && { sameServerId: said.serverId }),
    ...(said.delete_on_termination !== undefined && {
      deleteOnTermination: readBoolean(said.delete_on_termination),
    }),
  })
}

export const volumeAttachmentRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/servers/{server_id}/os-volume_attachments",
    operation: listServerVolumes,
    told: {
      ...toldQuery(parameters),
      answer: shape("VolumeAttachmentList", { volumeAttachments: many(shown.shows) }),
    },
    handler: async (ctx, req) => {
      checkQueryNames(req, parameters)
      const offset = queryInteger(req.query, "offset", { min: 0 }) ?? 0
      const limit = boundedLimit(
        queryInteger(req.query, "limit", { min: 0 }),
        ctx.config.compute.listLimitMost,
      )
      const found = await listServerVolumes(ctx, { serverId: serverOf(req) })
      const page = found.slice(offset, offset + limit)
      return { volumeAttachments: page.map((each) => shown.show(ctx, req, each)) }
    },
  }),
  route({
    method: "POST",
    path: "/servers/{server_id}/os-volume_attachments",
    operation: attachVolume,
    body: attachBodies,
    told: one("volumeAttachment", made.shows),
    handler: async (ctx, req) => {
      const { volumeAttachment: said } = req.body
      const device = await attachVolume(ctx, {
        serverId: serverOf(req),
        volumeId: said.volumeId,
        device: said.device || null,
        tag: said.tag ?? null,
        deleteOnTermination: readBoolean(said.delete_on_termination),
        knowsMultiattach: atLeast(req.version, "2.60"),
      })
      return { volumeAttachment: made.show(ctx, req, device) }
    },
  }),
  route({
    method: "GET",
    path: "/servers/{server_id}/os-volume_attachments/{volume_id}",
    operation: showServerVolume,
    told: one("volumeAttachment", shown.shows),
    handler: async (ctx, req) => ({
      volumeAttachment: shown.show(ctx, req, await showServerVolume(ctx, attachmentOf(req))),
    }),
  }),
  route({
    method: "PUT",
    path: "/servers/{server_id}/os-volume_attachments/{volume_id}",
    operation: [updateServerVolume, swapServerVolume],
    status: 202,
    body: updateBodies,
    handler: update,
  }),
  route({
    method: "DELETE",
    path: "/servers/{server_id}/os-volume_attachments/{volume_id}",
    operation: detachVolume,
    status: 202,
    handler: (ctx, req) => detachVolume(ctx, attachmentOf(req)),
  }),
]
