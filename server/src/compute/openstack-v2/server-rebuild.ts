// The action `rebuild`, whose answer shows the server.
import type { Ctx } from "../../platform/context/context.ts"
import { atLeast } from "../../platform/http/microversion.ts"
import type { BodyOf } from "../../platform/http/versions.ts"
import { reply } from "../../platform/http/wire.ts"
import { hostsByName, rebuildServer, showRebuiltServer } from "../index.ts"
import { type Asked, action } from "./server-action.ts"
import { lastPart, rebuildServerSchemas } from "./server-schemas.ts"
import { serverViewPlan, told, viewServer } from "./server-view.ts"
import { canonicalIpV6, newPassword } from "./servers.ts"

async function rebuild(ctx: Ctx, { serverId, body, version }: Asked<BodyOf<typeof rebuildServerSchemas>>) {
  const asked = body.rebuild
  const adminPassword = asked.adminPass ?? newPassword()
  await rebuildServer(ctx, {
    serverId,
    adminPassword,
    imageId: lastPart(asked.imageRef),
    makesVolumeAnew: atLeast(version, "2.93"),
    injectedFiles: asked.personality ?? [],
    ...(asked.name !== undefined && { name: asked.name.trim() }),
    ...(asked.description !== undefined && { description: asked.description }),
    ...(asked.hostname !== undefined && { hostname: asked.hostname }),
    ...(asked.metadata !== undefined && { metadata: asked.metadata }),
    ...(asked.accessIPv4 !== undefined && { accessIpV4: asked.accessIPv4 }),
    ...(asked.accessIPv6 !== undefined && { accessIpV6: canonicalIpV6(asked.accessIPv6) }),
    ...(asked["OS-DCF:diskConfig"] !== undefined && {
      hasAutoDiskConfig: asked["OS-DCF:diskConfig"] === "AUTO",
    }),
    ...(asked.key_name !== undefined && { keyName: asked.key_name }),
    ...(asked.user_data !== undefined && { userData: asked.user_data }),
    ...(asked.trusted_image_certificates !== undefined && {
      trustedImageCertificates: asked.trusted_image_certificates,
    }),
  })
  const { server, networking, volumes } = await showRebuiltServer(ctx, { serverId })
  const plan = serverViewPlan(ctx, version, {
    isWhole: atLeast(version, "2.75"),
    showsServerGroups: true,
    showsKeyName: atLeast(version, "2.54"),
    projectId: server.projectId,
  })
  if (plan.showsHostStatus || plan.showsHostStatusUnknown) plan.hosts = await hostsByName(ctx)
  const view = viewServer(plan, server, networking, volumes)
  delete view["OS-EXT-SRV-ATTR:user_data"]
  if (ctx.config.compute.enableInstancePassword) view.adminPass = adminPassword
  if (atLeast(version, "2.57")) view.user_data = server.userData
  return reply(202, { server: view }, { location: `${ctx.baseUrl}/compute/v2.1/servers/${serverId}` })
}

export const rebuildAction = action({
  operation: rebuildServer,
  schema: rebuildServerSchemas,
  told: told.rebuilt.answer,
  run: rebuild,
})
