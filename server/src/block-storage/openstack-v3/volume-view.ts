import { Type } from "typebox"
import { from, links, nothing, rare, text, textMap, textOrNull } from "../../api/openstack/shape.ts"
import { named, type Table, view } from "../../api/openstack/view.ts"
import { microsText } from "../../platform/clock/iso-time.ts"
import { can } from "../../platform/policy/can.ts"
import { type Volume, volumeNoun } from "../volume/volume.ts"
import { linksOf } from "./parts.ts"

const { fields } = volumeNoun
const flag = Type.Boolean()

const attachment = Type.Object({
  id: text,
  attachment_id: text,
  volume_id: text,
  server_id: textOrNull,
  host_name: textOrNull,
  device: textOrNull,
  attached_at: textOrNull,
})

/** Which host has it is for administrators. */
const attachmentsOf: Table<Volume>[string][1] = ({ id, attachments }, ctx) =>
  attachments.map((each) => ({
    id,
    attachment_id: each.id,
    volume_id: id,
    server_id: each.serverId,
    host_name: can(ctx, "volume_extension:volume_host_attribute") ? each.host : null,
    device: each.device,
    attached_at: each.attachedAt === null ? null : microsText(new Date(each.attachedAt)),
  }))

const self: Table<Volume> = { links: [links, ({ id }, ctx) => linksOf(ctx, `volumes/${id}`)] }

export const volumeSummary = view<Volume>("VolumeSummary", { ...named(fields, ["id", "name"]), ...self })

const common: Table<Volume> = {
  ...named(fields, ["id", "name", "description", "status", "createdAt", "updatedAt"]),
  // Cinder shows this flag so, when somebody has set it.
  metadata: [
    textMap,
    ({ metadata, isReadOnly }) => ({
      ...metadata,
      ...(isReadOnly === null ? {} : { readonly: isReadOnly ? "True" : "False" }),
    }),
  ],
  ...named(fields, { user_id: "userId", size: "sizeGib", availability_zone: "availabilityZone" }),
  ...named(fields, {
    snapshot_id: "snapshotId",
    source_volid: "sourceVolumeId",
    volume_type: "volumeTypeName",
  }),
  bootable: [text, ({ isBootable }) => String(isBootable)],
  encrypted: [flag, ({ encryptionKeyId }) => encryptionKeyId !== null],
  // Only of one that has a key.
  encryption_key_id: [rare(from("3.64", text)), ({ encryptionKeyId }) => encryptionKeyId ?? undefined],
  ...named(fields, { multiattach: "isMultiattach" }),
  attachments: [Type.Array(attachment), attachmentsOf],
  // Cinder shows it to administrators alone, and null to nobody else.
  migration_status: [
    rare(textOrNull),
    ({ migrationStatus }, ctx) =>
      can(ctx, "volume_extension:volume_mig_status_attribute") ? migrationStatus : undefined,
  ],
  replication_status: [nothing, () => null],
  ...named(fields, ["consistencyGroupId"]),
  group_id: [from("3.13", textOrNull), "groupId"],
  provider_id: [
    rare(from("3.21", nothing)),
    (_volume, ctx) => (can(ctx, "volume_extension:volume_host_attribute") ? null : undefined),
  ],
  service_uuid: [from("3.48", nothing), () => null],
  shared_targets: [
    from("3.48", Type.Union([flag, nothing])),
    (_v, _ctx, { version }) => sharedTargets(version.minor),
  ],
  cluster_name: [
    rare(from("3.61", nothing)),
    (_volume, ctx) => (can(ctx, "volume_extension:volume_host_attribute") ? null : undefined),
  ],
  volume_type_id: [from("3.63", textOrNull), "volumeTypeId"],
  consumes_quota: [from("3.65", flag), () => true],
  ...self,
}

/** Until 3.69 there were two answers to it. */
const sharedTargets = (minor: number) => (minor >= 69 ? null : false)

export const newVolume = view<Volume>("NewVolume", common)

export const volumeDetail = view<Volume>("Volume", {
  ...common,
  "os-vol-tenant-attr:tenant_id": [
    rare(text),
    ({ projectId }, ctx) =>
      ctx.policy.isAllowed(ctx.caller, "volume_extension:volume_tenant_attribute", { project_id: projectId })
        ? projectId
        : undefined,
  ],
  "os-vol-host-attr:host": [
    rare(textOrNull),
    ({ host, backend }, ctx) =>
      can(ctx, "volume_extension:volume_host_attribute")
        ? host === null
          ? null
          : `${host}@${backend}#${backend}`
        : undefined,
  ],
  "os-vol-mig-status-attr:migstat": [
    rare(textOrNull),
    ({ migrationStatus }, ctx) =>
      can(ctx, "volume_extension:volume_mig_status_attribute") ? migrationStatus : undefined,
  ],
  "os-vol-mig-status-attr:name_id": [
    rare(nothing),
    (_volume, ctx) => (can(ctx, "volume_extension:volume_mig_status_attribute") ? null : undefined),
  ],
  volume_image_metadata: [rare(textMap), ({ imageMetadata }) => imageMetadata ?? undefined],
})
