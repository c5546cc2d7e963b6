import { Type } from "typebox"
import { one, page as pageOf, text } from "../../api/openstack/shape.ts"
import { named, view } from "../../api/openstack/view.ts"
import { microsText } from "../../platform/clock/iso-time.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { atLeast } from "../../platform/http/microversion.ts"
import type { BodyOf } from "../../platform/http/versions.ts"
import { type Route, reply, route, type WireRequest } from "../../platform/http/wire.ts"
import { anyObject, nullable, typed, word } from "../../platform/schema/make.ts"
import {
  type Attachment,
  attachmentNoun,
  completeAttachment,
  createAttachment,
  deleteAttachment,
  getAttachment,
  inputInvalid,
  listAttachments,
  updateAttachment,
} from "../index.ts"
import { viewConnection } from "./connection-view.ts"
import { attachmentRules as rules } from "./list-rules.ts"
import { bodyOf, bodyWith, nextLink, readList, toldList, uuid } from "./parts.ts"

const { fields } = attachmentNoun
const idOf = ({ params }: Pick<WireRequest, "params">) => params.attachment_id ?? ""

const summary = view<Attachment>("AttachmentSummary", {
  ...named(fields, { id: "id", status: "status", instance: "serverId", volume_id: "volumeId" }),
})
const detail = view<Attachment>("Attachment", {
  ...named(fields, {
    id: "id",
    status: "status",
    instance: "serverId",
    volume_id: "volumeId",
    attach_mode: "mode",
  }),
  attached_at: [text, ({ attachedAt }) => (attachedAt === null ? "" : microsText(attachedAt))],
  detached_at: [text, () => ""],
  // Those of servers are the cloud's own affair; others know how they reach what is on their host.
  connection_info: [
    anyObject,
    ({ isConnected, isGiven }) => (isConnected ? { driver_volume_type: isGiven ? "iscsi" : "local" } : {}),
  ],
})

type Made = Awaited<ReturnType<typeof updateAttachment>>

/** Whoever says how it is reached is told all of it, and nobody later. */
function showMade(ctx: Ctx, req: WireRequest, { connection, ...attachment }: Made) {
  const shown = detail.show(ctx, req, attachment)
  if (!connection) return { attachment: shown }
  const { driver_volume_type, data } = viewConnection({
    volume: { id: attachment.volumeId, isReadOnly: attachment.mode === "ro" },
    connection,
  })
  const info = { driver_volume_type, attachment_id: attachment.id, ...data }
  return { attachment: { ...shown, connection_info: info } }
}

const connector = typed(["object", "null"])

const createBody = bodyOf(
  "attachment",
  {
    volume_uuid: uuid,
    instance_uuid: typed(["string", "null"], { format: "uuid" }),
    connector,
    mode: word(["rw", "ro"]),
  },
  ["volume_uuid"],
)

async function create(ctx: Ctx, req: WireRequest<BodyOf<typeof createBody>>) {
  const { volume_uuid: volumeId, instance_uuid: serverId = null, connector: how, mode } = req.body.attachment
  if (mode !== undefined && !atLeast(req.version, "3.54"))
    throw inputInvalid("mode: there is none before 3.54.")
  const given = how && Object.keys(how).length > 0 ? how : null
  const attachment = await createAttachment(ctx, { volumeId, serverId, mode: mode ?? "rw", connector: given })
  return showMade(ctx, req, attachment)
}

function listOf(shown: typeof summary) {
  return async (ctx: Ctx, req: WireRequest) => {
    const found = await listAttachments(ctx, readList(ctx, req, rules))
    return {
      attachments: found.items.map((each) => shown.show(ctx, req, each)),
      ...nextLink(ctx, req, "attachments", found),
    }
  }
}

const min = "3.27"
const path = "/attachments/{attachment_id}"

export const attachmentRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/attachments",
    min,
    operation: listAttachments,
    told: { ...toldList(rules), ...pageOf("attachments", summary.shows) },
    handler: listOf(summary),
  }),
  route({
    method: "GET",
    path: "/attachments/detail",
    min,
    operation: listAttachments,
    told: { ...toldList(rules), ...pageOf("attachments", detail.shows) },
    handler: listOf(detail),
  }),
  route({
    method: "POST",
    path: "/attachments",
    min,
    status: 200,
    body: createBody,
    operation: createAttachment,
    told: one("attachment", detail.shows),
    handler: create,
  }),
  route({
    method: "GET",
    path,
    min,
    operation: getAttachment,
    told: one("attachment", detail.shows),
    handler: async (ctx, req) => ({
      attachment: detail.show(ctx, req, await getAttachment(ctx, { id: idOf(req) })),
    }),
  }),
  route({
    method: "PUT",
    path,
    min,
    body: bodyOf("attachment", { connector: typed(["object"], { minProperties: 1 }) }, ["connector"]),
    operation: updateAttachment,
    told: one("attachment", detail.shows),
    handler: async (ctx, req) => {
      const { connector: how } = req.body.attachment
      return showMade(ctx, req, await updateAttachment(ctx, { id: idOf(req), connector: how }))
    },
  }),
  route({
    method: "DELETE",
    path,
    min,
    status: 200,
    operation: deleteAttachment,
    told: { answer: Type.Object({ attachments: Type.Array(Type.Unknown()) }) },
    handler: async (ctx, req) => {
      await deleteAttachment(ctx, { id: idOf(req) })
      return { attachments: [] }
    },
  }),
  route({
    method: "POST",
    path: `${path}/action`,
    min: "3.44",
    status: 204,
    body: bodyWith("os-complete", nullable(anyObject)),
    actions: { "os-complete": completeAttachment },
    handler: async (ctx, req) => {
      await completeAttachment(ctx, { id: idOf(req) })
      return reply(204)
    },
  }),
]
