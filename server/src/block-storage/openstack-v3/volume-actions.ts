// POST /volumes/{id}/action: the name of the action is the body's only member.
import { Type } from "typebox"
import { count, flag, one, rare, shape, text, textMap, textOrNull } from "../../api/openstack/shape.ts"
import { microsText } from "../../platform/clock/iso-time.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { atLeast, type Microversion } from "../../platform/http/microversion.ts"
import { checkedBody } from "../../platform/http/schema-check.ts"
import type { BodyOf, BodySchema } from "../../platform/http/versions.ts"
import { type Operations, type Route, reply, route, type WireRequest } from "../../platform/http/wire.ts"
import { anyObject, closed, nullable, object, typed, word } from "../../platform/schema/make.ts"
import {
  attachByApi,
  beginDetachByApi,
  completeExtend,
  deleteVolume,
  detachByApi,
  extendVolume,
  forceDetachByApi,
  getVolume,
  hostInvalid,
  initializeConnection,
  inputInvalid,
  migrateVolume,
  reimageVolume,
  removeImageMetadata,
  reserveByApi,
  resetVolumeStatus,
  retypeVolume,
  revertVolume,
  rollDetachByApi,
  setBootable,
  setImageMetadata,
  setReadOnly,
  showImageMetadata,
  terminateConnection,
  unmanageVolume,
  unreserveByApi,
  uploadFormats,
  uploadVolume,
  volumeStatuses,
} from "../index.ts"
import { viewConnection } from "./connection-view.ts"
import { bodyOf, bodyWith, boolean, metadata, readBoolean, readSize, sizeGib, uuid } from "./parts.ts"

interface Action {
  operation: Operations
  schema: BodySchema
  told?: BodySchema
  min?: string
  /** Undefined: 202 without a body. */
  answer: (ctx: Ctx, id: string, req: WireRequest) => Promise<unknown>
}

function action<S extends BodySchema>(
  definition: Omit<Action, "schema" | "answer"> & {
    schema: S
    run: (ctx: Ctx, asked: { id: string; body: BodyOf<S>; version: Microversion }) => Promise<unknown>
  },
): Action {
  const { run, ...facts } = definition
  return {
    ...facts,
    answer: (ctx, id, { body, version }) =>
      run(ctx, { id, body: checkedBody(facts.schema, version, body), version }),
  }
}

/** Clients send null, or an object without anything in it. */
const nothingSaid = nullable(anyObject)
const textOrNothing = typed(["string", "null"], { maxLength: 255 })

const migration = bodyOf("os-migrate_volume", {
  host: textOrNothing,
  cluster: textOrNothing,
  force_host_copy: boolean,
  lock_volume: boolean,
})

const uploaded = one(
  "os-volume_upload_image",
  shape("UploadingVolume", {
    id: text,
    updated_at: textOrNull,
    status: text,
    display_description: textOrNull,
    size: count,
    volume_type: Type.Union([anyObject, Type.Null()]),
    image_id: text,
    container_format: text,
    disk_format: text,
    image_name: text,
    visibility: rare(text),
    protected: rare(flag),
  }),
)

const connected = one(
  "connection_info",
  shape("VolumeConnection", {
    driver_volume_type: text,
    data: shape("VolumeConnectionData", {
      volume_id: text,
      target_discovered: flag,
      target_portal: text,
      target_iqn: text,
      target_lun: count,
      auth_method: text,
      auth_username: text,
      auth_password: text,
      access_mode: text,
      encrypted: flag,
      qos_specs: Type.Null(),
      discard: flag,
    }),
  }),
)

const actions: Readonly<Record<string, Action>> = {
  "os-extend": action({
    operation: extendVolume,
    schema: bodyOf("os-extend", { new_size: sizeGib }, ["new_size"]),
    run: async (ctx, { id, body, version }) => {
      const size = readSize("new_size", body["os-extend"].new_size)
      if (size === null) throw inputInvalid("new_size: say the new size in GiB.")
      await extendVolume(ctx, { id, sizeGib: size, mayBeInUse: atLeast(version, "3.42") })
    },
  }),
  "os-reset_status": action({
    operation: resetVolumeStatus,
    schema: bodyWith(
      "os-reset_status",
      closed(
        {
          status: typed(["string", "null"], { enum: [...volumeStatuses, null] }),
          attach_status: typed(["string", "null"], { enum: ["attached", "detached", null] }),
          migration_status: typed(["string", "null"], { enum: ["none", null] }),
        },
        [],
        { minProperties: 1 },
      ),
    ),
    run: async (ctx, { id, body }) => {
      const asked = body["os-reset_status"]
      const { status, attach_status: attachStatus, migration_status: migrationStatus } = asked
      if (attachStatus === "attached") throw inputInvalid("attach_status: detached is what it can be set to.")
      const known = volumeStatuses.find((each) => each === status) ?? null
      const isDetached = attachStatus === "detached"
      await resetVolumeStatus(ctx, {
        id,
        status: known,
        isDetached,
        forgetsMigration: migrationStatus === "none",
      })
    },
  }),
  "os-force_delete": action({
    operation: deleteVolume,
    schema: bodyWith("os-force_delete", nothingSaid),
    run: async (ctx, { id }) => {
      await deleteVolume(ctx, { id, isCascading: false, isForced: true })
    },
  }),
  "os-attach": action({
    operation: attachByApi,
    schema: bodyOf(
      "os-attach",
      {
        instance_uuid: typed(["string", "null"], { format: "uuid" }),
        host_name: textOrNothing,
        mountpoint: Type.String({ minLength: 1, maxLength: 255 }),
        mode: word(["rw", "ro"]),
      },
      ["mountpoint"],
    ),
    run: async (ctx, { id, body }) => {
      const {
        instance_uuid: serverId = null,
        host_name: host = null,
        mountpoint,
        mode = "rw",
      } = body["os-attach"]
      if ((serverId === null) === (host === null))
        throw inputInvalid("os-attach: say either instance_uuid or host_name.")
      await attachByApi(ctx, { id, serverId, host, device: mountpoint, mode })
    },
  }),
  "os-detach": action({
    operation: detachByApi,
    schema: bodyWith("os-detach", nullable(object({ attachment_id: typed(["string", "null"]) }))),
    run: async (ctx, { id, body }) => {
      await detachByApi(ctx, { id, attachmentId: body["os-detach"]?.attachment_id ?? null })
    },
  }),
  "os-force_detach": action({
    operation: forceDetachByApi,
    schema: bodyOf("os-force_detach", {
      attachment_id: typed(["string", "null"]),
      connector: typed(["object", "null"]),
    }),
    // There is no connection of ours to end, so the connector says nothing.
    run: async (ctx, { id, body }) => {
      await forceDetachByApi(ctx, { id, attachmentId: body["os-force_detach"].attachment_id ?? null })
    },
  }),
  "os-initialize_connection": action({
    operation: initializeConnection,
    schema: bodyOf("os-initialize_connection", { connector: anyObject }, ["connector"]),
    told: connected.answer,
    run: async (ctx, { id, body }) => {
      const { connector } = body["os-initialize_connection"]
      return reply(200, {
        connection_info: viewConnection(await initializeConnection(ctx, { id, connector })),
      })
    },
  }),
  "os-terminate_connection": action({
    operation: terminateConnection,
    schema: bodyOf("os-terminate_connection", { connector: nullable(anyObject) }, ["connector"]),
    run: async (ctx, { id, body }) => {
      await terminateConnection(ctx, { id, connector: body["os-terminate_connection"].connector })
    },
  }),
  "os-reserve": action({
    operation: reserveByApi,
    schema: bodyWith("os-reserve", nothingSaid),
    run: (ctx, { id }) => reserveByApi(ctx, { id }),
  }),
  "os-unreserve": action({
    operation: unreserveByApi,
    schema: bodyWith("os-unreserve", nothingSaid),
    run: (ctx, { id }) => unreserveByApi(ctx, { id }),
  }),
  "os-begin_detaching": action({
    operation: beginDetachByApi,
    schema: bodyWith("os-begin_detaching", nothingSaid),
    run: (ctx, { id }) => beginDetachByApi(ctx, { id }),
  }),
  "os-roll_detaching": action({
    operation: rollDetachByApi,
    schema: bodyWith("os-roll_detaching", nothingSaid),
    run: (ctx, { id }) => rollDetachByApi(ctx, { id }),
  }),
  "os-set_bootable": action({
    operation: setBootable,
    schema: bodyOf("os-set_bootable", { bootable: boolean }, ["bootable"]),
    run: async (ctx, { id, body }) => {
      await setBootable(ctx, {
        id,
        isBootable: readBoolean("bootable", body["os-set_bootable"].bootable, false),
      })
      return reply(200)
    },
  }),
  "os-update_readonly_flag": action({
    operation: setReadOnly,
    schema: bodyOf("os-update_readonly_flag", { readonly: boolean }, ["readonly"]),
    run: async (ctx, { id, body }) => {
      const isReadOnly = readBoolean("readonly", body["os-update_readonly_flag"].readonly, false)
      await setReadOnly(ctx, { id, isReadOnly })
    },
  }),
  "os-set_image_metadata": action({
    operation: setImageMetadata,
    schema: bodyOf("os-set_image_metadata", { metadata }, ["metadata"]),
    told: one("metadata", textMap).answer,
    run: async (ctx, { id, body }) =>
      reply(200, {
        metadata: await setImageMetadata(ctx, { id, metadata: body["os-set_image_metadata"].metadata }),
      }),
  }),
  "os-show_image_metadata": action({
    operation: showImageMetadata,
    schema: bodyWith("os-show_image_metadata", nothingSaid),
    told: one("metadata", textMap).answer,
    run: async (ctx, { id }) => reply(200, { metadata: await showImageMetadata(ctx, { id }) }),
  }),
  "os-unset_image_metadata": action({
    operation: removeImageMetadata,
    schema: bodyOf("os-unset_image_metadata", { key: Type.String({ minLength: 1, maxLength: 255 }) }, [
      "key",
    ]),
    run: async (ctx, { id, body }) => {
      await removeImageMetadata(ctx, { id, key: body["os-unset_image_metadata"].key })
      return reply(200)
    },
  }),
  "os-retype": action({
    operation: retypeVolume,
    schema: bodyOf(
      "os-retype",
      {
        new_type: Type.String({ minLength: 1, maxLength: 255 }),
        migration_policy: typed(["string", "null"], { enum: ["never", "on-demand", null] }),
      },
      ["new_type"],
    ),
    run: async (ctx, { id, body }) => {
      const { new_type: volumeType, migration_policy: policy } = body["os-retype"]
      await retypeVolume(ctx, { id, volumeType, mayMove: policy === "on-demand" })
    },
  }),
  "os-migrate_volume": action({
    operation: migrateVolume,
    schema: migration,
    run: async (ctx, { id, body, version }) => {
      const asked = body["os-migrate_volume"]
      const cluster = atLeast(version, "3.16") ? (asked.cluster ?? "") : ""
      const host = asked.host ?? ""
      if ((cluster === "") === (host === ""))
        throw inputInvalid("os-migrate_volume: say one and only one of host and cluster.")
      // There is none.
      if (cluster !== "") throw hostInvalid(`No available service named '${cluster}'.`)
      // The data are copied, whatever force_host_copy says.
      readBoolean("force_host_copy", asked.force_host_copy, false)
      await migrateVolume(ctx, { id, host, isLocked: readBoolean("lock_volume", asked.lock_volume, false) })
    },
  }),
  "os-volume_upload_image": action({
    operation: uploadVolume,
    schema: bodyOf(
      "os-volume_upload_image",
      {
        image_name: Type.String({ minLength: 1, maxLength: 255 }),
        disk_format: typed(["string", "null"], { enum: [...uploadFormats, null] }),
        container_format: typed(["string", "null"], { enum: ["bare", null] }),
        force: boolean,
        visibility: word(["private", "public", "shared", "community"]),
        protected: boolean,
      },
      ["image_name"],
    ),
    told: uploaded.answer,
    run: async (ctx, { id, body, version }) => {
      const asked = body["os-volume_upload_image"]
      const diskFormat = uploadFormats.find((format) => format === asked.disk_format) ?? "raw"
      const { volume, image } = await uploadVolume(ctx, {
        id,
        imageName: asked.image_name,
        diskFormat,
        containerFormat: "bare",
        visibility: asked.visibility ?? "private",
        isProtected: readBoolean("protected", asked.protected, false),
        mayBeInUse: readBoolean("force", asked.force, false),
      })
      const more = atLeast(version, "3.1")
        ? { visibility: image.visibility, protected: image.isProtected }
        : {}
      return reply(202, {
        "os-volume_upload_image": {
          id,
          updated_at: volume.updatedAt === null ? null : microsText(volume.updatedAt),
          status: volume.status,
          display_description: volume.description,
          size: volume.sizeGib,
          volume_type:
            volume.volumeTypeId === null ? null : { id: volume.volumeTypeId, name: volume.volumeTypeName },
          image_id: image.id,
          container_format: "bare",
          disk_format: diskFormat,
          image_name: asked.image_name,
          ...more,
        },
      })
    },
  }),
  "os-reimage": action({
    operation: reimageVolume,
    min: "3.68",
    schema: bodyOf("os-reimage", { image_id: uuid, reimage_reserved: boolean }, ["image_id"]),
    run: async (ctx, { id, body }) => {
      const { image_id: imageId, reimage_reserved: reserved } = body["os-reimage"]
      await reimageVolume(ctx, {
        id,
        imageId,
        mayBeReserved: readBoolean("reimage_reserved", reserved, false),
      })
    },
  }),
  "os-extend_volume_completion": action({
    operation: completeExtend,
    min: "3.71",
    schema: bodyOf("os-extend_volume_completion", { error: boolean }),
    run: async (ctx, { id, body }) => {
      readBoolean("error", body["os-extend_volume_completion"].error, false)
      await completeExtend(ctx, { id })
    },
  }),
  "os-unmanage": action({
    operation: unmanageVolume,
    schema: bodyWith("os-unmanage", nothingSaid),
    run: (ctx, { id }) => unmanageVolume(ctx, { id }),
  }),
  revert: action({
    operation: revertVolume,
    min: "3.40",
    schema: bodyOf("revert", { snapshot_id: uuid }, ["snapshot_id"]),
    run: (ctx, { id, body }) => revertVolume(ctx, { id, snapshotId: body.revert.snapshot_id }),
  }),
}

const keysOf = (body: unknown): string[] =>
  typeof body === "object" && body !== null && !Array.isArray(body) ? Object.keys(body) : []

function actionOf(body: unknown, version: Microversion): Action {
  const keys = keysOf(body)
  const found = keys.map((key) => (Object.hasOwn(actions, key) ? actions[key] : undefined)).find(Boolean)
  const isServed = found && (found.min === undefined || atLeast(version, found.min))
  if (found && isServed) return found
  throw inputInvalid(
    keys.length === 0 ? "the body names no action." : `there is no such action: ${keys.join(", ")}.`,
  )
}

export const volumeActionRoutes: readonly Route[] = [
  route({
    method: "POST",
    path: "/volumes/{volume_id}/action",
    status: [202, 200],
    actions: Object.fromEntries(Object.entries(actions).map(([name, { operation }]) => [name, operation])),
    alsoAsks: getVolume,
    actionBodies: actions,
    handler: async (ctx, req) => {
      const id = req.params.volume_id ?? ""
      // Whether the volume is there comes first: a body that is wrong is no way to ask for more.
      await getVolume(ctx, { id })
      const answer = await actionOf(req.body, req.version).answer(ctx, id, req)
      return answer ?? reply(202)
    },
  }),
]
