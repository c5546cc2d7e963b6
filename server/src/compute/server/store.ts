// SQL of servers. Every change of state is one compare-and-set.
import { sql } from "kysely"
import { type DbOrTx, jsonb, type Tx } from "../../platform/db/database.ts"
import { findThing } from "../../platform/noun/list.ts"
import { type Changes, fieldsOf } from "../../platform/noun/noun.ts"
import {
  everyServer,
  type Server,
  type ServerFault,
  serverNoun,
  type TaskState,
  type VmState,
} from "./server.ts"
import type { ActionRule } from "./state.ts"

/** The server as a statement gives it: `.returning(serverFields).$castTo<Server>()`. */
export const serverFields = fieldsOf(serverNoun, everyServer)

/** Without asking who wants to know. */
export async function selectServer(
  db: DbOrTx,
  serverId: string,
  { withDeleted = false } = {},
): Promise<Server | undefined> {
  return await findThing(db, serverNoun, { ...everyServer, withDeleted }, serverId)
}

export type NewServer = Omit<
  Server,
  | "number"
  | "flavorId"
  | "generation"
  | "powerState"
  | "progress"
  | "fault"
  | "host"
  | "availabilityZone"
  | "oldFlavor"
  | "oldHost"
  | "lockedBy"
  | "lockedReason"
  | "createdAt"
  | "updatedAt"
  | "launchedAt"
  | "softDeletedAt"
  | "terminatedAt"
  | "deletedAt"
>

/** Rows of one statement: a statement may have 65,535 parameters. */
const insertBatch = 1_000

/** All servers of one request, in few statements. */
export async function insertServers(tx: Tx, servers: readonly NewServer[]): Promise<Server[]> {
  const made: Server[] = []
  for (let at = 0; at < servers.length; at += insertBatch)
    made.push(...(await insertBatchOf(tx, servers.slice(at, at + insertBatch))))
  return made.sort((a, b) => a.launchIndex - b.launchIndex)
}

async function insertBatchOf(tx: Tx, servers: readonly NewServer[]): Promise<Server[]> {
  return await tx
    .insertInto("compute.server")
    .values(
      servers.map((s) => ({
        id: s.id,
        project_id: s.projectId,
        user_id: s.userId,
        name: s.name,
        description: s.description,
        hostname: s.hostname,
        vm_state: s.vmState,
        task_state: s.taskState,
        pinned_availability_zone: s.pinnedAvailabilityZone,
        image_id: s.imageId,
        flavor: jsonb(s.flavor),
        flavor_id: s.flavor.flavorId,
        vcpus: s.flavor.vcpus,
        ram_mib: s.flavor.ramMib,
        fault: null,
        old_flavor: null,
        metadata: jsonb(s.metadata),
        system_metadata: jsonb(s.systemMetadata),
        tags: s.tags,
        key_name: s.keyName,
        key_type: s.keyType,
        public_key: s.publicKey,
        user_data: s.userData,
        has_config_drive: s.hasConfigDrive,
        has_auto_disk_config: s.hasAutoDiskConfig,
        root_device_name: s.rootDeviceName,
        kernel_id: s.kernelId,
        ramdisk_id: s.ramdiskId,
        access_ip_v4: s.accessIpV4,
        access_ip_v6: s.accessIpV6,
        security_groups: jsonb(s.securityGroups),
        requested_networks: s.requestedNetworks === null ? null : jsonb(s.requestedNetworks),
        scheduler_hints: jsonb(s.schedulerHints),
        server_group_id: s.serverGroupId,
        trusted_image_certificates:
          s.trustedImageCertificates === null ? null : jsonb(s.trustedImageCertificates),
        has_volumes: s.hasVolumes,
        block_devices: jsonb(s.blockDevices),
        reservation_id: s.reservationId,
        launch_index: s.launchIndex,
      })),
    )
    .returning(serverFields)
    .$castTo<Server>()
    .execute()
}

/**
 * Takes the server for a task: only from the states of the rule, and with a new generation, so that whatever
 * still works on an older one stops. Undefined when the state forbids it.
 */
export async function claimTask(
  tx: Tx,
  serverId: string,
  rule: ActionRule,
  isAdmin: boolean,
): Promise<Server | undefined> {
  const tasks = rule.taskStates?.filter((state) => state !== null)
  const mayBeIdle = rule.taskStates?.includes(null)
  return await tx
    .updateTable("compute.server")
    .set({
      task_state: rule.taskState,
      // By two: the one between is for the command that clears the way (destroy before a rebuild), which must be
      // above all before it and below all that follows.
      generation: sql<number>`generation + 2`,
      updated_at: sql<Date>`now()`,
    })
    .where("id", "=", serverId)
    .where("deleted_at", "is", null)
    .$if(rule.vmStates !== null, (q) => q.where("vm_state", "in", rule.vmStates ?? []))
    .$if(tasks !== undefined, (q) =>
      q.where((e) =>
        e.or([
          ...(mayBeIdle ? [e("task_state", "is", null)] : []),
          ...(tasks && tasks.length > 0 ? [e("task_state", "in", tasks)] : []),
        ]),
      ),
    )
    .$if(rule.mustHaveLaunched, (q) => q.where("launched_at", "is not", null))
    .$if(rule.honoursLock && !isAdmin, (q) => q.where("locked_by", "is", null))
    .returning(serverFields)
    .$castTo<Server>()
    .executeTakeFirst()
}

/** What a task may change on its way. Undefined fields stay. */
export interface ServerChanges {
  vmState?: VmState
  taskState?: TaskState | null
  powerState?: number
  progress?: number
  fault?: ServerFault | null
  host?: string | null
  availabilityZone?: string | null
  pinnedAvailabilityZone?: string | null
  imageId?: string | null
  flavor?: Server["flavor"]
  oldFlavor?: Server["flavor"] | null
  /** What a resize that has begun will make of it. */
  comingFlavor?: Server["flavor"]
  oldHost?: string | null
  systemMetadata?: Record<string, string>
  kernelId?: string | null
  ramdiskId?: string | null
  hasAutoDiskConfig?: boolean
  isLaunchedNow?: boolean
  isDeletedNow?: boolean
  /** False: it is restored. */
  isSoftDeletedNow?: boolean
  /** The task of this generation has ended well. */
  isFinishedNow?: boolean
}

function columnsOf(c: ServerChanges) {
  return {
    ...(c.vmState !== undefined && { vm_state: c.vmState }),
    ...(c.taskState !== undefined && { task_state: c.taskState }),
    ...(c.powerState !== undefined && { power_state: c.powerState }),
    ...(c.progress !== undefined && { progress: c.progress }),
    ...(c.fault !== undefined && { fault: c.fault === null ? null : jsonb(c.fault) }),
    ...(c.host !== undefined && { host: c.host }),
    ...(c.availabilityZone !== undefined && { availability_zone: c.availabilityZone }),
    ...(c.pinnedAvailabilityZone !== undefined && { pinned_availability_zone: c.pinnedAvailabilityZone }),
    ...(c.imageId !== undefined && { image_id: c.imageId }),
    ...(c.flavor !== undefined && {
      flavor: jsonb(c.flavor),
      flavor_id: c.flavor.flavorId,
      vcpus: c.flavor.vcpus,
      ram_mib: c.flavor.ramMib,
    }),
    ...(c.comingFlavor !== undefined && otherSize(c.comingFlavor)),
    ...(c.oldFlavor !== undefined && {
      old_flavor: c.oldFlavor === null ? null : jsonb(c.oldFlavor),
      ...otherSize(c.oldFlavor),
    }),
    ...(c.oldHost !== undefined && { old_host: c.oldHost }),
    ...(c.systemMetadata !== undefined && { system_metadata: jsonb(c.systemMetadata) }),
    ...(c.kernelId !== undefined && { kernel_id: c.kernelId }),
    ...(c.ramdiskId !== undefined && { ramdisk_id: c.ramdiskId }),
    ...(c.hasAutoDiskConfig !== undefined && { has_auto_disk_config: c.hasAutoDiskConfig }),
    ...(c.isFinishedNow && { finished_generation: sql<number>`generation` }),
    ...(c.isLaunchedNow && { launched_at: sql<Date>`now()`, terminated_at: null }),
    ...(c.isSoftDeletedNow !== undefined && {
      soft_deleted_at: c.isSoftDeletedNow ? sql<Date>`now()` : null,
    }),
    ...(c.isDeletedNow && {
      deleted_at: sql<Date>`now()`,
      guest_password: null,
      user_data: null,
      terminated_at: sql<Date>`now()`,
    }),
  }
}

/** Until a resize is over, the larger one of both sizes counts. */
function otherSize(flavor: Server["flavor"] | null) {
  return { resize_vcpus: flavor?.vcpus ?? null, resize_ram_mib: flavor?.ramMib ?? null }
}

/** A step of the task that holds this generation; undefined when another task has taken the server since. */
export async function changeServer(
  tx: DbOrTx,
  serverId: string,
  generation: number,
  changes: ServerChanges,
  options: { onlyIdle?: boolean } = {},
): Promise<Server | undefined> {
  return await tx
    .updateTable("compute.server")
    .set({ ...columnsOf(changes), updated_at: sql<Date>`now()` })
    .where("id", "=", serverId)
    .where("generation", "=", generation)
    .where("deleted_at", "is", null)
    .$if(options.onlyIdle === true, (q) => q.where("task_state", "is", null))
    .returning(serverFields)
    .$castTo<Server>()
    .executeTakeFirst()
}

/**
 * The newest generation, for a command to the host after others have overtaken an older one. Undefined while a task has
 * the server.
 */
export async function takeTurn(tx: Tx, { id, generation }: Server): Promise<number | undefined> {
  const taken = await tx
    .updateTable("compute.server")
    .set({ generation: sql<number>`generation + 2` })
    .where("id", "=", id)
    .where("generation", "=", generation)
    .where("task_state", "is", null)
    .where("deleted_at", "is", null)
    .returning("generation")
    .executeTakeFirst()
  return taken?.generation
}

/** Whether the task of this generation has ended well, whatever came after it; also of a deleted server. */
export async function isTaskFinished(db: DbOrTx, serverId: string, generation: number): Promise<boolean> {
  const row = await db
    .selectFrom("compute.server")
    .select("finished_generation")
    .where("id", "=", serverId)
    .executeTakeFirst()
  return row !== undefined && row.finished_generation >= generation
}

/** The same task on another host: takes the server anew from the attempt that failed, and forgets its host. */
export async function claimAgain(
  tx: Tx,
  serverId: string,
  generation: number,
  taskState: TaskState,
): Promise<{ server: Server; previousHost: string | null } | undefined> {
  const before = await selectServer(tx, serverId)
  const server = await tx
    .updateTable("compute.server")
    .set({
      task_state: taskState,
      generation: sql<number>`generation + 2`,
      host: null,
      availability_zone: null,
      updated_at: sql<Date>`now()`,
    })
    .where("id", "=", serverId)
    .where("generation", "=", generation)
    .where("deleted_at", "is", null)
    .returning(serverFields)
    .$castTo<Server>()
    .executeTakeFirst()
  return server && { server, previousHost: before?.host ?? null }
}

/** What users may change at any time, whatever task runs. */
export type ServerDetails = Changes<typeof serverNoun> &
  Partial<
    Pick<Server, "metadata" | "keyName" | "keyType" | "publicKey" | "userData" | "trustedImageCertificates">
  >

export async function updateDetails(
  tx: DbOrTx,
  serverId: string,
  d: ServerDetails,
): Promise<Server | undefined> {
  return await tx
    .updateTable("compute.server")
    .set({
      ...(d.name !== undefined && { name: d.name }),
      ...(d.description !== undefined && { description: d.description }),
      ...(d.hostname !== undefined && { hostname: d.hostname }),
      ...(d.accessIpV4 !== undefined && { access_ip_v4: d.accessIpV4 }),
      ...(d.accessIpV6 !== undefined && { access_ip_v6: d.accessIpV6 }),
      ...(d.hasAutoDiskConfig !== undefined && { has_auto_disk_config: d.hasAutoDiskConfig }),
      ...(d.metadata !== undefined && { metadata: jsonb(d.metadata) }),
      ...(d.keyName !== undefined && { key_name: d.keyName }),
      ...(d.keyType !== undefined && { key_type: d.keyType }),
      ...(d.publicKey !== undefined && { public_key: d.publicKey }),
      ...(d.userData !== undefined && { user_data: d.userData }),
      ...(d.trustedImageCertificates !== undefined && {
        trusted_image_certificates:
          d.trustedImageCertificates === null ? null : jsonb(d.trustedImageCertificates),
      }),
      updated_at: sql<Date>`now()`,
    })
    .where("id", "=", serverId)
    .where("deleted_at", "is", null)
    .returning(serverFields)
    .$castTo<Server>()
    .executeTakeFirst()
}

/** The row, held until the transaction ends: for changes that are made from what it says. */
export async function lockRow(tx: Tx, serverId: string): Promise<Server | undefined> {
  return await tx
    .selectFrom("compute.server")
    .select(serverFields)
    .where("id", "=", serverId)
    .where("deleted_at", "is", null)
    .forUpdate()
    .$castTo<Server>()
    .executeTakeFirst()
}

export async function setTags(tx: Tx, serverId: string, tags: string[]): Promise<void> {
  await tx
    .updateTable("compute.server")
    .set({ tags, updated_at: sql<Date>`now()` })
    .where("id", "=", serverId)
    .execute()
}

export async function setLock(
  tx: Tx,
  serverId: string,
  by: "owner" | "admin" | null,
  reason: string | null,
): Promise<void> {
  await tx
    .updateTable("compute.server")
    .set({ locked_by: by, locked_reason: reason, updated_at: sql<Date>`now()` })
    .where("id", "=", serverId)
    .where("deleted_at", "is", null)
    .execute()
}

/** Takes the server from any task (new generation) and says what state it is in. */
export async function setState(tx: Tx, serverId: string, vmState: VmState): Promise<void> {
  await tx
    .updateTable("compute.server")
    .set({
      vm_state: vmState,
      task_state: null,
      // Of a resize that has not come as far as to give the server its new size nothing is left.
      resize_vcpus: sql<number | null>`case when old_flavor is not null then resize_vcpus end`,
      resize_ram_mib: sql<number | null>`case when old_flavor is not null then resize_ram_mib end`,
      generation: sql<number>`generation + 2`,
      updated_at: sql<Date>`now()`,
    })
    .where("id", "=", serverId)
    .where("deleted_at", "is", null)
    .execute()
}

/**
 * The server is on this host, in this state, whatever became of it before: the row of a machine that was adopted.
 * `generationAbove`: what the host has seen of it.
 */
export async function reviveServer(
  tx: Tx,
  serverId: string,
  to: {
    host: string
    availabilityZone: string
    generationAbove: number
    vmState: VmState
    powerState: number
  },
): Promise<Server> {
  return await tx
    .updateTable("compute.server")
    .set({
      host: to.host,
      availability_zone: to.availabilityZone,
      vm_state: to.vmState,
      task_state: null,
      power_state: to.powerState,
      fault: null,
      generation: sql<number>`greatest(generation, ${to.generationAbove}::bigint) + 2`,
      deleted_at: null,
      soft_deleted_at: null,
      terminated_at: null,
      launched_at: sql<Date>`coalesce(launched_at, now())`,
      updated_at: sql<Date>`now()`,
    })
    .where("id", "=", serverId)
    .returning(serverFields)
    .$castTo<Server>()
    .executeTakeFirstOrThrow()
}

/** The servers of a host and those that these ids name, deleted ones too. */
export async function selectServersForSync(
  db: DbOrTx,
  host: string,
  serverIds: readonly string[],
): Promise<Map<string, Server>> {
  const servers = await db
    .selectFrom("compute.server")
    .select(serverFields)
    .where((e) =>
      e.or([
        e.and([e("host", "=", host), e("deleted_at", "is", null)]),
        sql<boolean>`id = any(${[...serverIds]}::uuid[])`,
      ]),
    )
    .$castTo<Server>()
    .execute()
  return new Map(servers.map((server) => [server.id, server]))
}
