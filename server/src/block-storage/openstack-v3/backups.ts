import { Type } from "typebox"
import { flag, from, links, one, rare, shape, text, textMap, textOrNull } from "../../api/openstack/shape.ts"
import { named, since, type Table, view } from "../../api/openstack/view.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { type BodyOf, versions } from "../../platform/http/versions.ts"
import { type Route, reply, route, type WireRequest } from "../../platform/http/wire.ts"
import { can } from "../../platform/policy/can.ts"
import { anyObject, nullable, typed, word } from "../../platform/schema/make.ts"
import {
  type Backup,
  backupNoun,
  countBackups,
  createBackup,
  deleteBackup,
  exportBackup,
  getBackup,
  importBackup,
  listBackups,
  resetBackupStatus,
  resetBackupStatuses,
  restoreBackup,
  updateBackup,
} from "../index.ts"
import { countedPage, countOf, toldCount } from "./counted.ts"
import { backupRules as rules } from "./list-rules.ts"
import {
  bodyOf,
  bodyWith,
  boolean,
  linksOf,
  metadata,
  nameOrNull,
  nextLink,
  readBoolean,
  readList,
  saidNames,
  toldList,
  trimmed,
  uuid,
} from "./parts.ts"

const { fields } = backupNoun
const idOf = ({ params }: Pick<WireRequest, "params">) => params.backup_id ?? ""
const uuidOrNull = typed(["string", "null"], { format: "uuid" })
const metadataOrNull = typed(["object", "null"], { additionalProperties: { type: "string", maxLength: 255 } })

const self: Table<Backup> = { links: [links, ({ id }, ctx) => linksOf(ctx, `backups/${id}`)] }
const summary = view<Backup>("BackupSummary", { ...named(fields, ["id", "name"]), ...self })

const forAdmins = (ctx: Ctx) => can(ctx, "backup:backup_project_attribute")

const detail = view<Backup>("Backup", {
  ...named(fields, [
    "id",
    "name",
    "description",
    "status",
    "createdAt",
    "updatedAt",
    "volumeId",
    "snapshotId",
  ]),
  ...named(fields, { size: "sizeGib", container: "container", availability_zone: "availabilityZone" }),
  ...named(fields, ["objectCount", "hasDependents", "dataAt", "problem"]),
  is_incremental: [flag, ({ parentId }) => parentId !== null],
  "os-backup-project-attr:project_id": [
    rare(from("3.18", text)),
    ({ projectId }, ctx) => (forAdmins(ctx) ? projectId : undefined),
  ],
  ...since("3.43", { metadata: [textMap, "metadata"] }),
  user_id: [rare(from("3.56", text)), ({ userId }, ctx) => (forAdmins(ctx) ? userId : undefined)],
  encryption_key_id: [rare(from("3.64", text)), ({ encryptionKeyId }) => encryptionKeyId ?? undefined],
  ...self,
})

const members = {
  volume_id: uuid,
  snapshot_id: uuidOrNull,
  name: nameOrNull,
  description: nameOrNull,
  container: nameOrNull,
  incremental: boolean,
  force: boolean,
}
const withMetadata = { ...members, metadata: metadataOrNull }
const createBody = versions({
  "": bodyOf("backup", members, ["volume_id"]),
  "3.43": bodyOf("backup", withMetadata, ["volume_id"]),
  "3.51": bodyOf("backup", { ...withMetadata, availability_zone: nameOrNull }, ["volume_id"]),
})

async function create(ctx: Ctx, req: WireRequest<BodyOf<typeof createBody>>) {
  const { backup: body } = req.body
  const backup = await createBackup(ctx, {
    volumeId: body.volume_id,
    snapshotId: body.snapshot_id ?? null,
    name: trimmed(body.name),
    description: trimmed(body.description),
    container: body.container ?? null,
    availabilityZone: body.availability_zone ?? null,
    // The schema admits texts only.
    metadata: (body.metadata ?? {}) as Record<string, string>,
    isIncremental: readBoolean("incremental", body.incremental, false),
    mayBeInUse: readBoolean("force", body.force, false),
  })
  return { backup: summary.show(ctx, req, backup) }
}

const changeable = { name: nameOrNull, description: nameOrNull }
const updateBody = versions({
  "": bodyOf("backup", changeable),
  "3.43": bodyOf("backup", { ...changeable, metadata }),
})

async function update(ctx: Ctx, req: WireRequest<BodyOf<typeof updateBody>>) {
  const { metadata: given } = req.body.backup
  const changes = saidNames(req.body.backup)
  const backup = await updateBackup(ctx, { id: idOf(req), changes, metadata: given ?? null })
  return { backup: summary.show(ctx, req, backup) }
}

const toldPage = (title: string, shown: typeof summary) => ({
  ...toldList(rules, toldCount),
  ...countedPage("backups", title, shown.shows),
})

function listOf(shown: typeof summary) {
  return async (ctx: Ctx, req: WireRequest) => {
    const asked = readList(ctx, req, rules)
    const found = await listBackups(ctx, asked)
    return {
      backups: found.items.map((each) => shown.show(ctx, req, each)),
      ...nextLink(ctx, req, "backups", found),
      ...(await countOf(ctx, req, asked, countBackups)),
    }
  }
}

const restoreBody = bodyWith(
  "restore",
  typed(["object", "null"], {
    properties: { volume_id: uuidOrNull, name: nameOrNull },
    additionalProperties: false,
  }),
)

async function restore(ctx: Ctx, req: WireRequest<BodyOf<typeof restoreBody>>) {
  // As the schema has them.
  const { volume_id: volumeId, name } = (req.body.restore ?? {}) as { volume_id?: string; name?: string }
  const asked = { id: idOf(req), volumeId: volumeId ?? null, name: trimmed(name) }
  const restored = await restoreBackup(ctx, asked)
  const { backupId: backup_id, volumeId: volume_id, volumeName: volume_name } = restored
  return { restore: { backup_id, volume_id, volume_name } }
}

const recordMembers = {
  backup_service: Type.String({ minLength: 1, maxLength: 255 }),
  backup_url: Type.String({ minLength: 1, maxLength: 65_536 }),
}
const recordBody = bodyOf("backup-record", recordMembers, ["backup_service", "backup_url"])

const resetBody = bodyOf("os-reset_status", { status: word(resetBackupStatuses) }, ["status"])
const forceDeleteBody = bodyWith("os-force_delete", nullable(anyObject))

const path = "/backups/{backup_id}"

export const backupRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/backups",
    operation: listBackups,
    alsoAsks: [countBackups],
    told: toldPage("BackupSummaries", summary),
    handler: listOf(summary),
  }),
  route({
    method: "GET",
    path: "/backups/detail",
    operation: listBackups,
    alsoAsks: [countBackups],
    told: toldPage("Backups", detail),
    handler: listOf(detail),
  }),
  route({
    method: "POST",
    path: "/backups",
    status: 202,
    body: createBody,
    operation: createBackup,
    told: one("backup", summary.shows),
    handler: create,
  }),
  route({
    method: "POST",
    path: "/backups/import_record",
    body: recordBody,
    operation: importBackup,
    told: one("backup", summary.shows),
    handler: async (ctx, req) => {
      const { backup_service: service, backup_url: url } = req.body["backup-record"]
      return { backup: summary.show(ctx, req, await importBackup(ctx, { service, url })) }
    },
  }),
  route({
    method: "GET",
    path,
    operation: getBackup,
    told: one("backup", detail.shows),
    handler: async (ctx, req) => ({ backup: detail.show(ctx, req, await getBackup(ctx, { id: idOf(req) })) }),
  }),
  route({
    method: "PUT",
    path,
    min: "3.9",
    body: updateBody,
    operation: updateBackup,
    told: one("backup", summary.shows),
    handler: update,
  }),
  route({
    method: "DELETE",
    path,
    status: 202,
    operation: deleteBackup,
    handler: async (ctx, req) => await deleteBackup(ctx, { id: idOf(req), isForced: false }),
  }),
  route({
    method: "POST",
    path: `${path}/restore`,
    status: 202,
    body: restoreBody,
    operation: restoreBackup,
    told: one("restore", shape("Restore", { backup_id: text, volume_id: text, volume_name: textOrNull })),
    handler: restore,
  }),
  route({
    method: "GET",
    path: `${path}/export_record`,
    operation: exportBackup,
    told: one("backup-record", shape("BackupRecord", { backup_service: text, backup_url: text })),
    handler: async (ctx, req) => {
      const { service: backup_service, url: backup_url } = await exportBackup(ctx, { id: idOf(req) })
      return { "backup-record": { backup_service, backup_url } }
    },
  }),
  route({
    method: "POST",
    path: `${path}/action`,
    status: 202,
    body: Type.Union([resetBody, forceDeleteBody]),
    actions: { "os-reset_status": resetBackupStatus, "os-force_delete": deleteBackup },
    handler: async (ctx, { body, params }) => {
      const id = idOf({ params })
      if ("os-reset_status" in body)
        await resetBackupStatus(ctx, { id, status: body["os-reset_status"].status })
      else await deleteBackup(ctx, { id, isForced: true })
      return reply(202)
    },
  }),
]
