// What users change at once: names, access addresses, metadata, tags, locks, and (operators) the state itself.
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { type Tx, transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
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
import { targetOf, visibleServer } from "./find.ts"
import { notifyServer } from "./notification.ts"
import { maxTagsOfServer, type Server } from "./server.ts"
import { lockRow, type ServerDetails, setLock, setState, setTags, updateDetails } from "./store.ts"
import { actorOf } from "./task.ts"

const nullableText = Type.Union([Type.String(), Type.Null()])
const ServerId = Type.Object({ serverId: Type.String() })

async function changeDetails(ctx: Ctx, tx: Tx, server: Server, changes: ServerDetails): Promise<Server> {
  const changed = await updateDetails(tx, server.id, changes)
  if (!changed) throw serverNotFound(server.id)
  await notifyServer(ctx, tx, changed, "update", actorOf(ctx), { old_display_name: server.name })
  return changed
}

export const updateServer = operation({
  name: "compute.server.update",
  input: Type.Object({
    serverId: Type.String(),
    name: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
    description: Type.Optional(nullableText),
    hostname: Type.Optional(Type.String()),
    accessIpV4: Type.Optional(nullableText),
    accessIpV6: Type.Optional(nullableText),
    hasAutoDiskConfig: Type.Optional(Type.Boolean()),
  }),
  faults: [serverNotFound],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  authorize: (_ctx, _input, server) => [["os_compute_api:servers:update", targetOf(server)]],
  run: async (ctx, { serverId: _id, ...changes }, server) =>
    await transact(ctx.db, (tx) => changeDetails(ctx, tx, server, changes)),
})

const metadataStates: readonly string[] = ["active", "paused", "suspended", "stopped"]

function checkMayChangeMetadata(ctx: Ctx, server: Server, action: string): void {
  if (server.lockedBy !== null && !isAdmin(ctx)) throw serverLocked(server.id)
  if (!metadataStates.includes(server.vmState))
    throw serverInvalidState(server.id, action, "vm_state", server.vmState)
}

/** `replace`: exactly these items; otherwise they are added to what is there. */
export const setServerMetadata = operation({
  name: "compute.server.set_metadata",
  input: Type.Object({
    serverId: Type.String(),
    items: Type.Record(Type.String(), Type.String()),
    isReplacing: Type.Boolean(),
    rule: Type.Union([Type.Literal("create"), Type.Literal("update"), Type.Literal("update_all")]),
  }),
  faults: [serverNotFound, serverLocked, serverInvalidState, quotaExceeded],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  authorize: (_ctx, input, server) => [[`os_compute_api:server-metadata:${input.rule}`, targetOf(server)]],
  run: (ctx, input, loaded) =>
    transact(ctx.db, async (tx) => {
      const server = await lockRow(tx, loaded.id)
      if (!server) throw serverNotFound(loaded.id)
      checkMayChangeMetadata(ctx, server, "update_instance_metadata")
      const metadata = input.isReplacing ? input.items : { ...server.metadata, ...input.items }
      const add = { metadata_items: Object.keys(metadata).length }
      await enforceQuota(ctx, tx, computeQuota, { projectId: server.projectId, add })
      return (await changeDetails(ctx, tx, server, { metadata })).metadata
    }),
})

export const deleteServerMetadataItem = operation({
  name: "compute.server.delete_metadata_item",
  input: Type.Object({ serverId: Type.String(), key: Type.String() }),
  faults: [serverNotFound, serverLocked, serverInvalidState, metadataItemNotFound],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  authorize: (_ctx, _input, server) => [["os_compute_api:server-metadata:delete", targetOf(server)]],
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

const tagRules = ["update", "update_all", "delete", "delete_all"] as const

/** One verb for all of them: `change` says the new tags from the old. */
export const changeServerTags = operation({
  name: "compute.server.change_tags",
  input: Type.Object({
    serverId: Type.String(),
    change: Type.Union([
      Type.Object({ kind: Type.Literal("add"), tag: Type.String() }),
      Type.Object({ kind: Type.Literal("remove"), tag: Type.String() }),
      Type.Object({ kind: Type.Literal("replace"), tags: Type.Array(Type.String()) }),
      Type.Object({ kind: Type.Literal("clear") }),
    ]),
  }),
  faults: [serverNotFound, serverInvalidState, tagNotFound, tooManyTags],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  authorize: (_ctx, input, server) => {
    const rules: Record<typeof input.change.kind, (typeof tagRules)[number]> = {
      add: "update",
      remove: "delete",
      replace: "update_all",
      clear: "delete_all",
    }
    return [[`os_compute_api:os-server-tags:${rules[input.change.kind]}`, targetOf(server)]]
  },
  run: (ctx, { change }, loaded) =>
    transact(ctx.db, async (tx) => {
      const server = await lockRow(tx, loaded.id)
      if (!server) throw serverNotFound(loaded.id)
      if (!metadataStates.includes(server.vmState))
        throw serverInvalidState(server.id, "update tags", "vm_state", server.vmState)
      const before = server.tags
      const tags =
        change.kind === "add"
          ? [...before, change.tag]
          : change.kind === "remove"
            ? before.filter((tag) => tag !== change.tag)
            : change.kind === "replace"
              ? change.tags
              : []
      if (change.kind === "remove" && tags.length === before.length) throw tagNotFound(server.id, change.tag)
      const unique = [...new Set(tags)].sort()
      if (unique.length > maxTagsOfServer) throw tooManyTags(maxTagsOfServer)
      await setTags(tx, server.id, unique)
      await notifyServer(ctx, tx, { ...server, tags: unique }, "update", actorOf(ctx), { tags: unique })
      return { tags: unique, isNew: change.kind === "add" && !before.includes(change.tag) }
    }),
})

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
  input: Type.Object({ serverId: Type.String(), reason: nullableText }),
  faults: [serverNotFound],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  authorize: (_ctx, _input, server) => [["os_compute_api:os-lock-server:lock", targetOf(server)]],
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
  input: Type.Object({
    serverId: Type.String(),
    state: Type.Union([Type.Literal("active"), Type.Literal("error")]),
  }),
  faults: [serverNotFound],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  authorize: (_ctx, _input, server) => [["os_compute_api:os-admin-actions:reset_state", targetOf(server)]],
  run: (ctx, input, server) =>
    transact(ctx.db, async (tx) => {
      await setState(tx, server.id, input.state)
      await recordAtOnce(ctx, tx, server, "resetState")
    }),
})
