// POST /servers/{id}/action: the body's one key names the action.

import type { Ctx } from "../../platform/context/context.ts"
import { routeNotServed } from "../../platform/http/faults.ts"
import {
  atLeast,
  formatMicroversion,
  type Microversion,
  parseMicroversion,
} from "../../platform/http/microversion.ts"
import { checkSchema } from "../../platform/http/schema-check.ts"
import { type BodySchema, schemaFor, versions } from "../../platform/http/versions.ts"
import { type Operations, type Route, reply, route, type WireRequest } from "../../platform/http/wire.ts"
import {
  addServerFixedIp,
  addServerFloatingIp,
  addServerSecurityGroup,
  badRequest,
  confirmResize,
  createServerBackup,
  createServerImage,
  forceDeleteServer,
  getConsoleOutput,
  hardRebootServer,
  hostsByName,
  lockServer,
  pauseServer,
  personalityUnsupported,
  rebootServer,
  rebuildServer,
  removeServerFixedIp,
  removeServerFloatingIp,
  removeServerSecurityGroup,
  rescueServer,
  resetServerState,
  resizeServer,
  resumeServer,
  revertResize,
  shelveServer,
  showRebuiltServer,
  showServer,
  startServer,
  stopServer,
  suspendServer,
  unlockServer,
  unpauseServer,
  unrescueServer,
  unshelveServer,
} from "../index.ts"
import { consoleActions } from "./remote-consoles.ts"
import { bodyOf, bodyWith, fqdn, ipAddress, name, uuid } from "./schema-parts.ts"
import {
  adminPass,
  createBackupSchema,
  createImageSchema,
  type RebuildServerBody,
  rebuildServerSchemas,
  resizeServerSchema,
} from "./server-schemas.ts"
import { serverViewPlan, viewServer } from "./server-view.ts"
import { canonicalIpV6, lastPart, newPassword } from "./servers.ts"

interface Action {
  operation: Operations
  schema: BodySchema
  min?: string
  max?: string
  /** Each handler knows the body that its own schema admits. */
  run: (ctx: Ctx, serverId: string, req: WireRequest<never>) => Promise<unknown>
}

const anything = (key: string) => bodyWith(key, {})

async function getConsole(ctx: Ctx, serverId: string, req: WireRequest<never>) {
  const { length } =
    (req.body as { "os-getConsoleOutput": { length?: number | string | null } | null })[
      "os-getConsoleOutput"
    ] ?? {}
  const lines = length === undefined || length === null ? null : Number(length)
  // -1 is "all", as Nova has it.
  const output = await getConsoleOutput(ctx, { serverId, lines: lines === null || lines < 0 ? null : lines })
  return reply(200, { output })
}

async function reboot(ctx: Ctx, serverId: string, req: WireRequest<never>) {
  const { type } = (req.body as { reboot: { type: string } }).reboot
  if (type.toUpperCase() === "HARD") await hardRebootServer(ctx, { serverId })
  else await rebootServer(ctx, { serverId })
}

async function createImage(ctx: Ctx, serverId: string, req: WireRequest<never>) {
  const { createImage: body } = req.body as {
    createImage: { name: string; metadata?: Record<string, string> }
  }
  const { imageId } = await createServerImage(ctx, {
    serverId,
    name: body.name.trim(),
    metadata: body.metadata ?? {},
  })
  if (atLeast(req.version, "2.45")) return reply(202, { image_id: imageId })
  return reply(202, undefined, { location: `${ctx.baseUrl}/image/v2/images/${imageId}` })
}

async function createBackup(ctx: Ctx, serverId: string, req: WireRequest<never>) {
  const { createBackup: body } = req.body as {
    createBackup: {
      name: string
      backup_type: string
      rotation: number | string
      metadata?: Record<string, string>
    }
  }
  const rotation = Number(body.rotation)
  const { imageId } = await createServerBackup(ctx, {
    serverId,
    name: body.name.trim(),
    backupType: body.backup_type,
    rotation,
    metadata: body.metadata ?? {},
  })
  if (atLeast(req.version, "2.45")) return reply(202, { image_id: imageId })
  if (rotation === 0) return reply(202)
  return reply(202, undefined, { location: `${ctx.baseUrl}/image/v2/images/${imageId}` })
}

async function rebuild(ctx: Ctx, serverId: string, req: WireRequest<never>) {
  const { rebuild: body } = req.body as RebuildServerBody
  if (body.personality !== undefined && body.personality.length > 0) throw personalityUnsupported()
  const adminPassword = body.adminPass ?? newPassword()
  await rebuildServer(ctx, {
    serverId,
    adminPassword,
    imageId: lastPart(body.imageRef),
    ...(body.name !== undefined && { name: body.name.trim() }),
    ...(body.description !== undefined && { description: body.description }),
    ...(body.hostname !== undefined && { hostname: body.hostname }),
    ...(body.metadata !== undefined && { metadata: body.metadata }),
    ...(body.accessIPv4 !== undefined && { accessIpV4: body.accessIPv4 }),
    ...(body.accessIPv6 !== undefined && { accessIpV6: canonicalIpV6(body.accessIPv6) }),
    ...(body["OS-DCF:diskConfig"] !== undefined && {
      hasAutoDiskConfig: body["OS-DCF:diskConfig"] === "AUTO",
    }),
    ...(body.key_name !== undefined && { keyName: body.key_name }),
    ...(body.user_data !== undefined && { userData: body.user_data }),
    ...(body.trusted_image_certificates !== undefined && {
      trustedImageCertificates: body.trusted_image_certificates,
    }),
  })
  const { server, networking } = await showRebuiltServer(ctx, { serverId })
  const plan = serverViewPlan(ctx, req.version, {
    isWhole: atLeast(req.version, "2.75"),
    showsServerGroups: true,
    showsKeyName: atLeast(req.version, "2.54"),
    projectId: server.projectId,
  })
  if (plan.showsHostStatus || plan.showsHostStatusUnknown) plan.hosts = await hostsByName(ctx)
  const view = viewServer(plan, server, networking)
  delete view["OS-EXT-SRV-ATTR:user_data"]
  if (ctx.config.compute.enableInstancePassword) view.adminPass = adminPassword
  if (atLeast(req.version, "2.57")) view.user_data = server.userData
  return reply(202, { server: view }, { location: `${ctx.baseUrl}/compute/v2.1/servers/${serverId}` })
}

async function resize(ctx: Ctx, serverId: string, req: WireRequest<never>) {
  const { resize: body } = req.body as {
    resize: { flavorRef: string | number; "OS-DCF:diskConfig"?: string }
  }
  await resizeServer(ctx, {
    serverId,
    flavorId: lastPart(String(body.flavorRef)),
    ...(body["OS-DCF:diskConfig"] !== undefined && {
      hasAutoDiskConfig: body["OS-DCF:diskConfig"] === "AUTO",
    }),
  })
}

async function resetState(ctx: Ctx, serverId: string, req: WireRequest<never>) {
  const { state } = (req.body as { "os-resetState": { state: "active" | "error" } })["os-resetState"]
  await resetServerState(ctx, { serverId, state })
}

async function lock(ctx: Ctx, serverId: string, req: WireRequest<never>) {
  const body = (req.body as { lock: { locked_reason?: string } | null }).lock
  await lockServer(ctx, { serverId, reason: body?.locked_reason ?? null })
}

async function rescue(ctx: Ctx, serverId: string, req: WireRequest<never>) {
  const body = (req.body as { rescue: { adminPass?: string; rescue_image_ref?: string } | null }).rescue
  const adminPassword = body?.adminPass ?? newPassword()
  await rescueServer(ctx, { serverId, imageId: body?.rescue_image_ref ?? null, adminPassword })
  return reply(200, ctx.config.compute.enableInstancePassword ? { adminPass: adminPassword } : {})
}

async function unshelve(ctx: Ctx, serverId: string, req: WireRequest<never>) {
  const body = (req.body as { unshelve: { availability_zone?: string | null; host?: string } | null })
    .unshelve
  await unshelveServer(ctx, {
    serverId,
    ...(body?.availability_zone !== undefined && { availabilityZone: body.availability_zone }),
    ...(body?.host !== undefined && { host: body.host }),
  })
}

const accepted = (verb: (ctx: Ctx, input: { serverId: string }) => Promise<unknown>) => {
  return async (ctx: Ctx, serverId: string) => {
    await verb(ctx, { serverId })
  }
}

const groupOf = (key: string, req: WireRequest<never>) =>
  (req.body as Record<string, { name: string }>)[key]?.name ?? ""

const unshelveBody = (properties: Record<string, unknown>) =>
  bodyWith("unshelve", {
    anyOf: [{ type: "object", properties, minProperties: 1, additionalProperties: false }, { type: "null" }],
  })

const length = { type: ["integer", "string", "null"], pattern: "^-?[0-9]+$", minimum: -1 }

const actions: Readonly<Record<string, Action>> = {
  "os-start": { operation: startServer, schema: anything("os-start"), run: accepted(startServer) },
  "os-stop": { operation: stopServer, schema: anything("os-stop"), run: accepted(stopServer) },
  reboot: {
    operation: [rebootServer, hardRebootServer],
    schema: bodyOf(
      "reboot",
      { type: { type: "string", enum: ["HARD", "Hard", "hard", "SOFT", "Soft", "soft"] } },
      ["type"],
    ),
    run: reboot,
  },
  pause: { operation: pauseServer, schema: anything("pause"), run: accepted(pauseServer) },
  unpause: {
    operation: unpauseServer,
    schema: anything("unpause"),
    run: accepted(unpauseServer),
  },
  suspend: {
    operation: suspendServer,
    schema: anything("suspend"),
    run: accepted(suspendServer),
  },
  resume: {
    operation: resumeServer,
    schema: anything("resume"),
    run: accepted(resumeServer),
  },
  rebuild: { operation: rebuildServer, schema: rebuildServerSchemas, run: rebuild },
  resize: { operation: resizeServer, schema: resizeServerSchema, run: resize },
  confirmResize: {
    operation: confirmResize,
    schema: anything("confirmResize"),
    run: async (ctx, serverId) => {
      await confirmResize(ctx, { serverId })
      return reply(204)
    },
  },
  revertResize: {
    operation: revertResize,
    schema: anything("revertResize"),
    run: accepted(revertResize),
  },
  createBackup: { operation: createServerBackup, schema: createBackupSchema, run: createBackup },
  createImage: { operation: createServerImage, schema: createImageSchema, run: createImage },
  rescue: {
    operation: rescueServer,
    schema: bodyWith("rescue", {
      anyOf: [
        {
          type: "object",
          properties: { adminPass, rescue_image_ref: uuid },
          additionalProperties: false,
        },
        { type: "null" },
      ],
    }),
    run: rescue,
  },
  unrescue: { operation: unrescueServer, schema: anything("unrescue"), run: accepted(unrescueServer) },
  shelve: { operation: shelveServer, schema: anything("shelve"), run: accepted(shelveServer) },
  unshelve: {
    operation: unshelveServer,
    schema: versions({
      "2.1": anything("unshelve"),
      "2.77": unshelveBody({ availability_zone: name }),
      "2.91": unshelveBody({ availability_zone: { anyOf: [name, { type: "null" }] }, host: fqdn }),
    }),
    run: unshelve,
  },
  lock: {
    operation: lockServer,
    schema: versions({
      "2.1": anything("lock"),
      "2.73": bodyWith("lock", {
        anyOf: [
          {
            type: "object",
            properties: { locked_reason: { type: "string", minLength: 1, maxLength: 255 } },
            additionalProperties: false,
          },
          { type: "null" },
        ],
      }),
    }),
    run: lock,
  },
  unlock: { operation: unlockServer, schema: anything("unlock"), run: accepted(unlockServer) },
  forceDelete: {
    operation: forceDeleteServer,
    schema: anything("forceDelete"),
    run: accepted(forceDeleteServer),
  },
  "os-resetState": {
    operation: resetServerState,
    schema: bodyOf("os-resetState", { state: { type: "string", enum: ["active", "error"] } }, ["state"]),
    run: resetState,
  },
  "os-getConsoleOutput": {
    operation: getConsoleOutput,
    schema: bodyWith("os-getConsoleOutput", {
      anyOf: [{ type: "object", properties: { length }, additionalProperties: false }, { type: "null" }],
    }),
    run: getConsole,
  },
  ...consoleActions,
  addFixedIp: {
    operation: addServerFixedIp,
    max: "2.43",
    schema: bodyOf("addFixedIp", { networkId: { type: ["string", "number"] } }, ["networkId"]),
    run: (ctx, serverId, req) => {
      const { addFixedIp } = req.body as { addFixedIp: { networkId: string | number } }
      return addServerFixedIp(ctx, { serverId, networkId: String(addFixedIp.networkId) })
    },
  },
  addFloatingIp: {
    operation: addServerFloatingIp,
    max: "2.43",
    schema: bodyOf("addFloatingIp", { address: ipAddress, fixed_address: ipAddress }, ["address"]),
    run: (ctx, serverId, req) => {
      const { addFloatingIp } = req.body as { addFloatingIp: { address: string; fixed_address?: string } }
      const { address, fixed_address } = addFloatingIp
      return addServerFloatingIp(ctx, { serverId, address, fixedAddress: fixed_address ?? null })
    },
  },
  removeFloatingIp: {
    operation: removeServerFloatingIp,
    max: "2.43",
    schema: bodyOf("removeFloatingIp", { address: ipAddress }, ["address"]),
    run: (ctx, serverId, req) => {
      const { removeFloatingIp } = req.body as { removeFloatingIp: { address: string } }
      return removeServerFloatingIp(ctx, { serverId, address: removeFloatingIp.address })
    },
  },
  removeFixedIp: {
    operation: removeServerFixedIp,
    max: "2.43",
    schema: bodyOf("removeFixedIp", { address: ipAddress }, ["address"]),
    run: (ctx, serverId, req) => {
      const { removeFixedIp } = req.body as { removeFixedIp: { address: string } }
      return removeServerFixedIp(ctx, { serverId, address: removeFixedIp.address })
    },
  },
  addSecurityGroup: {
    operation: addServerSecurityGroup,
    schema: bodyOf("addSecurityGroup", { name }, ["name"]),
    run: (ctx, serverId, req) =>
      addServerSecurityGroup(ctx, { serverId, group: groupOf("addSecurityGroup", req) }),
  },
  removeSecurityGroup: {
    operation: removeServerSecurityGroup,
    schema: bodyOf("removeSecurityGroup", { name }, ["name"]),
    run: (ctx, serverId, req) =>
      removeServerSecurityGroup(ctx, { serverId, group: groupOf("removeSecurityGroup", req) }),
  },
}

const keysOf = (body: unknown): string[] =>
  typeof body === "object" && body !== null && !Array.isArray(body) ? Object.keys(body) : []

const namesAction = (body: unknown) => keysOf(body).some((key) => Object.hasOwn(actions, key))

function actionOf(body: unknown, version: Microversion): [string, Action] {
  const keys = keysOf(body)
  const key = keys.find((k) => Object.hasOwn(actions, k))
  const action = key === undefined ? undefined : actions[key]
  if (key === undefined || !action) {
    if (keys.length === 0) throw badRequest("Malformed request body: it names no action.")
    throw badRequest(`There is no such action: ${keys.join(", ")}`)
  }
  const isPast =
    action.max !== undefined &&
    !atLeast(parseMicroversion(action.max) ?? version, formatMicroversion(version))
  if (isPast || (action.min && !atLeast(version, action.min))) throw routeNotServed()
  return [key, action]
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
      if (!namesAction(req.body)) await showServer(ctx, { serverId })
      const [, action] = actionOf(req.body, req.version)
      const schema = schemaFor(action.schema, req.version)
      if (schema) checkSchema(schema, req.body, "body")
      const result = await action.run(ctx, serverId, req as WireRequest<never>)
      return result === undefined ? reply(202) : result
    },
  }),
]
