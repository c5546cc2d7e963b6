// What users change at once: names, access addresses, metadata, tags, locks, and (operators) the state itself.
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { type Tx, transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { nullable, word } from "../../platform/schema/make.ts"
import { enforceQuota, quotaExceeded } from "../../quota/index.ts"
import { isAdmin } from "../admin.ts"
import {
  metadataItemNotFound,
  serverInvalidState,
  serverLocked,
  serverNotFound,
  tagNotFound,
  tooManyTags,
} from "../faults.ts"
import { computeQuota } from "../quota/resources.ts"
import { endAction, recordActions } from "../server-action/store.ts"
import { notifyServer } from "./notification.ts"
import { targetOf, visibleServer } from "./read.ts"
import { maxTagsOfServer, type Server, serverNoun, type VmState } from "./server.ts"
import { lockRow, type ServerDetails, setLock, setState, setTags, updateDetails } from "./store.ts"
import { actorOf } from "./task.ts"

const ServerId = Type.Object({ serverId: Type.String() })

async function changeDetails(ctx: Ctx, tx: Tx, server: Server, changes: ServerDetails): Promise<Server> {
  const changed = await updateDetails(tx, server.id, changes)
  if (!changed) throw serverNotFound(server.id)
  await notifyServer(ctx, tx, changed, "update", actorOf(ctx), { old_display_name: server.name })
  return changed
}

export const updateServer = operation({
  name: "compute.server.update",
  input: Type.Object({ serverId: Type.String(), changes: serverNoun.changes }),
  faults: [serverNotFound],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:servers:update",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, { changes }, server) =>
    await transact(ctx.db, (tx) => changeDetails(ctx, tx, server, changes)),
})

type Metadata = Readonly<Record<string, string>>

const metadataStates: readonly VmState[] = ["active", "paused", "suspended", "stopped"]

function checkMayChangeMetadata(ctx: Ctx, server: Server, action: string): void {
  if (server.lockedBy !== null && !isAdmin(ctx)) throw serverLocked(server.id)
  if (!metadataStates.includes(server.vmState))
    throw serverInvalidState(server.id, action, "vm_state", server.vmState)
}

/** The new metadata from what is there and what is given. */
function settingMetadata(verb: string, rule: string, next: (now: Metadata, items: Metadata) => Metadata) {
  return operation({
    name: `compute.server.${verb}`,
    input: Type.Object({ serverId: Type.String(), items: Type.Record(Type.String(), Type.String()) }),
    faults: [serverNotFound, serverLocked, serverInvalidState, quotaExceeded],
    load: (ctx, input) => visibleServer(ctx, input.serverId),
    rule: `os_compute_api:server-metadata:${rule}`,
    target: (_ctx, _input, server) => targetOf(server),
    run: (ctx, { items }, loaded) =>
      transact(ctx.db, async (tx) => {
        const server = await lockRow(tx, loaded.id)
        if (!server) throw serverNotFound(loaded.id)
        checkMayChangeMetadata(ctx, server, "update_instance_metadata")
        const metadata = next(server.metadata, items)
        const add = { metadata_items: Object.keys(metadata).length }
        await enforceQuota(ctx, tx, computeQuota, { projectId: server.projectId, add })
        return (await changeDetails(ctx, tx, server, { metadata })).metadata
      }),
  })
}

const merged = (now: Metadata, items: Metadata) => ({ ...now, ...items })

export const createServerMetadata = settingMetadata("create_metadata", "create", merged)
export const updateServerMetadataItem = settingMetadata("update_metadata_item", "update", merged)
export const replaceServerMetadata = settingMetadata("replace_metadata", "update_all", (_now, items) => items)

export const deleteServerMetadataItem = operation({
  name: "compute.server.delete_metadata_item",
  input: Type.Object({ serverId: Type.String(), key: Type.String() }),
  faults: [serverNotFound, serverLocked, serverInvalidState, metadataItemNotFound],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:server-metadata:delete",
  target: (_ctx, _input, server) => targetOf(server),
  run: (ctx, input, loaded) =>
    transact(ctx.db, async (tx) => {
      const server = await lockRow(tx, loaded.id)
      if (!server) throw serverNotFound(loaded.id)
      if (!Object.hasOwn(server.metadata, input.key)) throw metadataItemNotFound(input.key)
      checkMayChangeMetadata(ctx, server, "delete_instance_metadata")
      const { [input.key]: _gone, ...metadata } = server.metadata
      await changeDetails(ctx, tx, server, { metadata })
    }),
})

const OneTag = Type.Object({ serverId: Type.String(), tag: Type.String() })
const tagTarget = (_ctx: Ctx, _input: unknown, server: Server) => targetOf(server)

/** Whether it was not there yet. */
export const addServerTag = operation({
  name: "compute.server.add_tag",
  input: OneTag,
  faults: [serverNotFound, serverInvalidState, tooManyTags],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:os-server-tags:update",
  target: tagTarget,
  run: async (ctx, { tag }, server) => {
    const { before } = await writeTags(ctx, server.id, (tags) => [...tags, tag])
    return { isNew: !before.includes(tag) }
  },
})

export const removeServerTag = operation({
  name: "compute.server.remove_tag",
  input: OneTag,
  faults: [serverNotFound, serverInvalidState, tagNotFound],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:os-server-tags:delete",
  target: tagTarget,
  run: async (ctx, { tag }, server) => {
    await writeTags(ctx, server.id, (tags) => {
      if (!tags.includes(tag)) throw tagNotFound(server.id, tag)
      return tags.filter((one) => one !== tag)
    })
  },
})

export const replaceServerTags = operation({
  name: "compute.server.replace_tags",
  input: Type.Object({ serverId: Type.String(), tags: Type.Array(Type.String()) }),
  faults: [serverNotFound, serverInvalidState, tooManyTags],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:os-server-tags:update_all",
  target: tagTarget,
  run: async (ctx, { tags }, server) => (await writeTags(ctx, server.id, () => tags)).tags,
})

export const clearServerTags = operation({
  name: "compute.server.clear_tags",
  input: ServerId,
  faults: [serverNotFound, serverInvalidState],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:os-server-tags:delete_all",
  target: tagTarget,
  run: async (ctx, _input, server) => {
    await writeTags(ctx, server.id, () => [])
  },
})

async function writeTags(
  ctx: Ctx,
  serverId: string,
  next: (tags: readonly string[]) => readonly string[],
): Promise<{ before: readonly string[]; tags: string[] }> {
  return await transact(ctx.db, async (tx) => {
    const server = await lockRow(tx, serverId)
    if (!server) throw serverNotFound(serverId)
    if (!metadataStates.includes(server.vmState))
      throw serverInvalidState(server.id, "update tags", "vm_state", server.vmState)
    const tags = [...new Set(next(server.tags))].sort()
    if (tags.length > maxTagsOfServer) throw tooManyTags(maxTagsOfServer)
    await setTags(tx, server.id, tags)
    await notifyServer(ctx, tx, { ...server, tags }, "update", actorOf(ctx), { tags })
    return { before: server.tags, tags }
  })
}

async function recordAtOnce(ctx: Ctx, tx: Tx, server: Server, action: string): Promise<void> {
  await recordActions(tx, [{ serverId: server.id, action, ...actorOf(ctx) }])
  await endAction(tx, {
    serverId: server.id,
    requestId: ctx.requestId,
    event: `api_${action}`,
    host: null,
    error: null,
  })
}

export const lockServer = operation({
  name: "compute.server.lock",
  input: Type.Object({ serverId: Type.String(), reason: nullable(Type.String()) }),
  faults: [serverNotFound],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:os-lock-server:lock",
  target: (_ctx, _input, server) => targetOf(server),
  run: (ctx, input, server) =>
    transact(ctx.db, async (tx) => {
      // An administrator's own server is locked by its owner, as with Nova.
      const by = server.projectId === ctx.caller.projectId ? "owner" : "admin"
      await setLock(tx, server.id, server.lockedBy === "admin" ? "admin" : by, input.reason)
      await recordAtOnce(ctx, tx, server, "lock")
      await notifyServer(ctx, tx, server, "lock", actorOf(ctx))
    }),
})

export const unlockServer = operation({
  name: "compute.server.unlock",
  input: ServerId,
  faults: [serverNotFound],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rules: ["os_compute_api:os-lock-server:unlock"],
  authorize: (ctx, _input, server) => [
    ["os_compute_api:os-lock-server:unlock", targetOf(server)],
    // What an administrator has locked in somebody's project, its owner does not unlock.
    ...(server.lockedBy === "admin" || (server.lockedBy !== null && server.projectId !== ctx.caller.projectId)
      ? [["os_compute_api:os-lock-server:unlock:unlock_override", targetOf(server)] as const]
      : []),
  ],
  run: (ctx, _input, server) =>
    transact(ctx.db, async (tx) => {
      await setLock(tx, server.id, null, null)
      await recordAtOnce(ctx, tx, server, "unlock")
      await notifyServer(ctx, tx, server, "unlock", actorOf(ctx))
    }),
})

/** The operator's word on the state, when a task was lost: nothing is done to the machine. */
export const resetServerState = operation({
  name: "compute.server.reset_state",
  input: Type.Object({ serverId: Type.String(), state: word(["active", "error"]) }),
  faults: [serverNotFound],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:os-admin-actions:reset_state",
  target: (_ctx, _input, server) => targetOf(server),
  run: (ctx, input, server) =>
    transact(ctx.db, async (tx) => {
      await setState(tx, server.id, input.state)
      await recordAtOnce(ctx, tx, server, "resetState")
    }),
})
