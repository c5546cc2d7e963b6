import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { operation } from "../../platform/operation/operation.ts"
import { enforceQuota, quotaExceeded } from "../../quota/index.ts"
import {
  badRequest,
  serverInvalidState,
  serverLocked,
  serverNotFound,
  serverNotLaunched,
  serverNotReady,
} from "../faults.ts"
import { computeQuota } from "../quota/resources.ts"
import { AdminPassword, keepAdminPassword } from "./admin-password.ts"
import { machineVolumes } from "./block-device.ts"
import { usableKey } from "./create.ts"
import { bootImage, checkImageFits, imageFacts } from "./image.ts"
import {
  checkContents,
  checkInjectedFiles,
  dropInjectedFiles,
  InjectedFile,
  injectedFileFaults,
  keepInjectedFiles,
} from "./injected-file.ts"
import { targetOf, visibleServer } from "./read.ts"
import { rebuildServerSaga } from "./rebuild.saga.ts"
import { isVolumeBacked, type Server } from "./server.ts"
import { changeServer, updateDetails } from "./store.ts"
import { beginTask, checkState } from "./task.ts"

const nullableText = Type.Union([Type.String(), Type.Null()])

/** A fresh disk from an image; id, addresses and flavor stay. What is not said stays. */
export const rebuildServer = operation({
  name: "compute.server.rebuild",
  input: Type.Object({
    serverId: Type.String(),
    imageId: Type.String(),
    name: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
    description: Type.Optional(nullableText),
    hostname: Type.Optional(Type.String()),
    metadata: Type.Optional(Type.Record(Type.String(), Type.String())),
    accessIpV4: Type.Optional(nullableText),
    accessIpV6: Type.Optional(nullableText),
    hasAutoDiskConfig: Type.Optional(Type.Boolean()),
    /** null takes the key away. */
    keyName: Type.Optional(nullableText),
    userData: Type.Optional(nullableText),
    /** In the place of all that the machine had. */
    injectedFiles: Type.Optional(Type.Array(InjectedFile)),
    adminPassword: Type.Optional(AdminPassword),
    trustedImageCertificates: Type.Optional(Type.Union([Type.Array(Type.String()), Type.Null()])),
    /** A boot volume is to get the image's data. Else it stays as it is. */
    makesVolumeAnew: Type.Optional(Type.Boolean()),
  }),
  faults: [
    badRequest,
    quotaExceeded,
    ...injectedFileFaults,
    serverNotFound,
    serverLocked,
    serverInvalidState,
    serverNotLaunched,
    serverNotReady,
  ],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rules: ["os_compute_api:servers:rebuild"],
  authorize: (_ctx, input, server) => [
    ["os_compute_api:servers:rebuild", targetOf(server)],
    ...(input.trustedImageCertificates?.length
      ? [["os_compute_api:servers:rebuild:trusted_certs", targetOf(server)] as const]
      : []),
  ],
  run: async (ctx, input, server) => {
    const {
      serverId,
      imageId,
      keyName,
      adminPassword,
      injectedFiles = [],
      makesVolumeAnew,
      ...details
    } = input
    checkContents(injectedFiles)
    checkState(ctx, server, "rebuild")
    const image = await bootImage(ctx, imageId)
    const isOnVolume = isVolumeBacked(server)
    if (isOnVolume) await checkSameImage(ctx, server, imageId, makesVolumeAnew === true)
    else checkImageFits(image, server.flavor)
    const key = keyName ? await usableKey(ctx, keyName) : null
    return await beginTask(ctx, {
      serverId,
      action: "rebuild",
      event: "rebuild",
      saga: rebuildServerSaga,
      more: async (tx, claimed) => {
        const { projectId } = claimed
        const add = { metadata_items: Object.keys(details.metadata ?? {}).length }
        await enforceQuota(ctx, tx, computeQuota, { projectId, add })
        await checkInjectedFiles(ctx, tx, { projectId, userId: ctx.caller.userId }, injectedFiles)
        await updateDetails(tx, serverId, {
          ...details,
          ...(keyName !== undefined && {
            keyName: key?.name ?? null,
            keyType: key?.type ?? null,
            publicKey: key?.publicKey ?? null,
          }),
        })
        await keepAdminPassword(ctx, tx, [serverId], adminPassword)
        await dropInjectedFiles(tx, serverId)
        await keepInjectedFiles(tx, [serverId], injectedFiles)
        const isStopped = claimed.vmState === "stopped"
        if (isOnVolume) return { isStopped }
        await changeServer(tx, serverId, claimed.generation, {
          imageId: image.id,
          systemMetadata: imageFacts(image),
          kernelId: image.properties.kernel_id ?? null,
          ramdiskId: image.properties.ramdisk_id ?? null,
        })
        return { isStopped }
      },
    })
  },
})

/** The machine is made anew, its boot volume is not: which image that was made from, the volume says. */
async function checkSameImage(
  ctx: Ctx,
  server: Server,
  imageId: string,
  makesVolumeAnew: boolean,
): Promise<void> {
  const root = (await machineVolumes(ctx.db, server)).find(({ device }) => device.bootIndex === 0)
  if (imageId !== root?.volume.imageMetadata?.image_id)
    throw badRequest(
      `Image ${imageId} is unacceptable: Unable to rebuild with a different image for a volume-backed server.`,
    )
  if (makesVolumeAnew)
    throw badRequest(
      "The volume that the server boots from cannot get the image's data again. Ask below microversion 2.93 to make " +
        "the machine anew on its volume as it is.",
    )
}
