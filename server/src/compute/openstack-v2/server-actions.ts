// POST /servers/{id}/action: the body's one key names the action.

import { Type } from "typebox"
import { from, one, rare, text } from "../../api/openstack/shape.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { routeNotServed } from "../../platform/http/faults.ts"
import {
  atLeast,
  formatMicroversion,
  type Microversion,
  parseMicroversion,
} from "../../platform/http/microversion.ts"
import type { BodyOf } from "../../platform/http/versions.ts"
import { type Route, reply, route } from "../../platform/http/wire.ts"
import {
  addServerSecurityGroup,
  apiRemoved,
  changeServerPassword,
  confirmResize,
  createServerBackup,
  createServerImage,
  forceDeleteServer,
  getConsoleOutput,
  hardRebootServer,
  injectNetworkInfo,
  lockServer,
  pauseServer,
  rebootServer,
  removeServerSecurityGroup,
  rescueServer,
  resetServerState,
  resizeServer,
  restoreServer,
  resumeServer,
  revertResize,
  shelveOffloadServer,
  shelveServer,
  showRebuiltServer,
  showServer,
  startServer,
  stopServer,
  suspendServer,
  triggerCrashDump,
  unlockServer,
  unpauseServer,
  unrescueServer,
  unshelveServer,
} from "../index.ts"
import { consoleActions } from "./remote-consoles.ts"
import { bodyOf, bodyWith, name } from "./schema-parts.ts"
import { type Action, type Asked, action, actionNamed, bareAction, namesIn } from "./server-action.ts"
import { addressActions } from "./server-address-actions.ts"
import { moveActions } from "./server-moves.ts"
import { rebuildAction } from "./server-rebuild.ts"
import {
  adminPass,
  anything,
  consoleOutputSchema,
  createBackupSchema,
  createImageSchema,
  lastPart,
  lockSchemas,
  rebootSchema,
  rescueSchema,
  resetStateSchema,
  resizeServerSchema,
  unshelveSchemas,
} from "./server-schemas.ts"
import { newPassword } from "./servers.ts"

async function getConsole(ctx: Ctx, { serverId, body }: Asked<BodyOf<typeof consoleOutputSchema>>) {
  const { length } = body["os-getConsoleOutput"] ?? {}
  const lines = length === undefined || length === null ? null : Number(length)
  // -1 is "all", as Nova has it.
  const output = await getConsoleOutput(ctx, { serverId, lines: lines === null || lines < 0 ? null : lines })
  return reply(200, { output })
}

async function reboot(ctx: Ctx, { serverId, body }: Asked<BodyOf<typeof rebootSchema>>) {
  if (body.reboot.type.toUpperCase() === "HARD") await hardRebootServer(ctx, { serverId })
  else await rebootServer(ctx, { serverId })
}

async function createImage(ctx: Ctx, { serverId, body, version }: Asked<BodyOf<typeof createImageSchema>>) {
  const { name, metadata = {} } = body.createImage
  const { imageId } = await createServerImage(ctx, { serverId, name: name.trim(), metadata })
  if (atLeast(version, "2.45")) return reply(202, { image_id: imageId })
  return reply(202, undefined, { location: `${ctx.baseUrl}/image/v2/images/${imageId}` })
}

async function createBackup(ctx: Ctx, { serverId, body, version }: Asked<BodyOf<typeof createBackupSchema>>) {
  const { name, backup_type: backupType, metadata = {} } = body.createBackup
  const rotation = Number(body.createBackup.rotation)
  const asked = { serverId, name: name.trim(), backupType, rotation, metadata }
  const { imageId } = await createServerBackup(ctx, asked)
  if (atLeast(version, "2.45")) return reply(202, { image_id: imageId })
  if (rotation === 0) return reply(202)
  return reply(202, undefined, { location: `${ctx.baseUrl}/image/v2/images/${imageId}` })
}

async function resize(ctx: Ctx, { serverId, body }: Asked<BodyOf<typeof resizeServerSchema>>) {
  const { flavorRef, "OS-DCF:diskConfig": diskConfig } = body.resize
  await resizeServer(ctx, {
    serverId,
    flavorId: lastPart(String(flavorRef)),
    ...(diskConfig !== undefined && { hasAutoDiskConfig: diskConfig === "AUTO" }),
  })
}

async function lock(ctx: Ctx, { serverId, body, version }: Asked<BodyOf<typeof lockSchemas>>) {
  const asked = atLeast(version, "2.73") ? body.lock : null
  await lockServer(ctx, { serverId, reason: asked?.locked_reason ?? null })
}

async function rescue(ctx: Ctx, { serverId, body, version }: Asked<BodyOf<typeof rescueSchema>>) {
  const adminPassword = body.rescue?.adminPass ?? newPassword()
  const imageId = body.rescue?.rescue_image_ref ?? null
  await rescueServer(ctx, {
    ...{ serverId, imageId, adminPassword },
    knowsVolumes: atLeast(version, "2.87"),
  })
  return reply(200, ctx.config.compute.enableInstancePassword ? { adminPass: adminPassword } : {})
}

async function unshelve(ctx: Ctx, { serverId, body, version }: Asked<BodyOf<typeof unshelveSchemas>>) {
  const asked = atLeast(version, "2.77") ? body.unshelve : null
  await unshelveServer(ctx, {
    serverId,
    ...(asked?.availability_zone !== undefined && { availabilityZone: asked.availability_zone }),
    ...(asked?.host !== undefined && { host: asked.host }),
  })
}

const imageMade = { told: from("2.45", Type.Object({ image_id: text })) }
const rescued = Type.Object({ adminPass: rare(text) })

const bare = {
  "os-start": startServer,
  "os-stop": stopServer,
  pause: pauseServer,
  unpause: unpauseServer,
  suspend: suspendServer,
  resume: resumeServer,
  revertResize,
  unrescue: unrescueServer,
  shelve: shelveServer,
  unlock: unlockServer,
  forceDelete: forceDeleteServer,
  restore: restoreServer,
  injectNetworkInfo,
  shelveOffload: shelveOffloadServer,
}

const actions: Readonly<Record<string, Action>> = {
  ...Object.fromEntries(Object.entries(bare).map(([key, verb]) => [key, bareAction(key, verb)])),
  reboot: action({ operation: [rebootServer, hardRebootServer], schema: rebootSchema, run: reboot }),
  rebuild: rebuildAction,
  resize: action({ operation: resizeServer, schema: resizeServerSchema, run: resize }),
  confirmResize: action({
    operation: confirmResize,
    schema: anything("confirmResize"),
    run: async (ctx, { serverId }) => {
      await confirmResize(ctx, { serverId })
      return reply(204)
    },
  }),
  createBackup: action({
    ...imageMade,
    operation: createServerBackup,
    schema: createBackupSchema,
    run: createBackup,
  }),
  createImage: action({
    ...imageMade,
    operation: createServerImage,
    schema: createImageSchema,
    run: createImage,
  }),
  rescue: action({ operation: rescueServer, schema: rescueSchema, told: rescued, run: rescue }),
  unshelve: action({ operation: unshelveServer, schema: unshelveSchemas, run: unshelve }),
  lock: action({ operation: lockServer, schema: lockSchemas, run: lock }),
  // Of the Xen driver, which Nova has given up; no server is looked at.
  resetNetwork: action({
    operation: [],
    schema: anything("resetNetwork"),
    run: async () => {
      throw apiRemoved()
    },
  }),
  "os-resetState": action({
    operation: resetServerState,
    schema: resetStateSchema,
    run: async (ctx, { serverId, body }) => {
      await resetServerState(ctx, { serverId, state: body["os-resetState"].state })
    },
  }),
  "os-getConsoleOutput": action({
    operation: getConsoleOutput,
    schema: consoleOutputSchema,
    told: one("output", text).answer,
    run: getConsole,
  }),
  ...consoleActions,
  ...moveActions,
  changePassword: action({
    operation: changeServerPassword,
    schema: bodyOf("changePassword", { adminPass }, ["adminPass"]),
    run: (ctx, { serverId, body }) =>
      changeServerPassword(ctx, { serverId, password: body.changePassword.adminPass }),
  }),
  trigger_crash_dump: action({
    operation: triggerCrashDump,
    min: "2.17",
    schema: bodyWith("trigger_crash_dump", Type.Null()),
    run: (ctx, { serverId }) => triggerCrashDump(ctx, { serverId }),
  }),
  ...addressActions,
  addSecurityGroup: action({
    operation: addServerSecurityGroup,
    schema: bodyOf("addSecurityGroup", { name }, ["name"]),
    run: (ctx, { serverId, body }) =>
      addServerSecurityGroup(ctx, { serverId, group: body.addSecurityGroup.name }),
  }),
  removeSecurityGroup: action({
    operation: removeServerSecurityGroup,
    schema: bodyOf("removeSecurityGroup", { name }, ["name"]),
    run: (ctx, { serverId, body }) =>
      removeServerSecurityGroup(ctx, { serverId, group: body.removeSecurityGroup.name }),
  }),
}

const isKnown = (name: string) => Object.hasOwn(actions, name)

function actionOf(body: unknown, version: Microversion): Action {
  const action = actions[actionNamed(body, isKnown)]
  const isPast =
    action?.max !== undefined &&
    !atLeast(parseMicroversion(action.max) ?? version, formatMicroversion(version))
  if (!action || isPast || (action.min && !atLeast(version, action.min))) throw routeNotServed()
  return action
}

export const serverActionRoutes: readonly Route[] = [
  route({
    method: "POST",
    path: "/servers/{server_id}/action",
    status: [202, 200, 204],
    actions: Object.fromEntries(Object.entries(actions).map(([name, action]) => [name, action.operation])),
    alsoAsks: [showServer, showRebuiltServer],
    actionBodies: actions,
    handler: async (ctx, req) => {
      const serverId = req.params.server_id ?? ""
      // Whether the server is there comes first: an action that nobody knows is no way to ask for more.
      if (!namesIn(req.body).some(isKnown)) await showServer(ctx, { serverId })
      const result = await actionOf(req.body, req.version).answer(ctx, serverId, req)
      return result === undefined ? reply(202) : result
    },
  }),
]
