import { Type } from "typebox"
import {
  beginServerReimage,
  inputInvalid,
  planReimage,
  type Volume,
  volumeInvalid,
  volumeNotFound,
} from "../../block-storage/index.ts"
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { enforceQuota, quotaExceeded } from "../../quota/index.ts"
import {
  badRequest,
  serverInvalidState,
  serverLocked,
  serverNotFound,
  serverNotLaunched,
  serverNotReady,
  serverTpmRefused,
} from "../faults.ts"
import { checkHardware, keptHardware } from "../guest-hardware/hardware.ts"
import { computeQuota } from "../quota/resources.ts"
import { refusalWhereItIs } from "../schedule/schedule.ts"
import { AdminPassword, keepAdminPassword } from "./admin-password.ts"
import { machineVolumes } from "./block-device.ts"
import { usableKey } from "./create.ts"
import {
  type BootImage,
  bootImage,
  checkImageFits,
  checkVolumeFits,
  imageFacts,
  type KeptImage,
  keptImage,
} from "./image.ts"
import {
  checkContents,
  checkInjectedFiles,
  dropInjectedFiles,
  InjectedFile,
  injectedFileFaults,
  keepInjectedFiles,
} from "./injected-file.ts"
import { targetOf, visibleServer } from "./read.ts"
import { rebuildOnVolumeSaga, rebuildServerSaga } from "./rebuild.saga.ts"
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
    /** A boot volume gets the image's data. Else it stays as it is, and the image must be its own. */
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
    serverTpmRefused,
    volumeNotFound,
    volumeInvalid,
    inputInvalid,
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
    if (isOnVolume && details.trustedImageCertificates?.length)
      throw badRequest("Image certificate validation is not supported for volume-backed servers.")
    await checkRebuilt(ctx, server, image)
    if (!isOnVolume) checkImageFits(image, server.flavor)
    else if (!makesVolumeAnew) await checkSameImage(ctx, server, imageId)
    const written = isOnVolume && makesVolumeAnew ? await planVolume(ctx, server, image) : null
    const key = keyName ? await usableKey(ctx, keyName) : null
    const task = { serverId, action: "rebuild", event: "rebuild" } as const
    const change = async (tx: Tx, claimed: Server) => {
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
      if (!isOnVolume || written)
        await changeServer(tx, serverId, claimed.generation, {
          // Of a server that boots from a volume its absence says so.
          ...(!isOnVolume && { imageId: image.id }),
          systemMetadata: imageFacts(image),
          kernelId: image.properties.kernel_id ?? null,
          ramdiskId: image.properties.ramdisk_id ?? null,
        })
      return { isStopped: claimed.vmState === "stopped" }
    }
    if (!written) return await beginTask(ctx, { ...task, saga: rebuildServerSaga, more: change })
    const { volumeId, plan } = written
    return await beginTask(ctx, {
      ...task,
      saga: rebuildOnVolumeSaga,
      more: async (tx, claimed) => ({
        ...(await change(tx, claimed)),
        reimage: await beginServerReimage(ctx, tx, { volumeId, serverId }, plan),
      }),
    })
  },
})

/** Its host was chosen, and room claimed there, for the cells and processors that it has. */
async function checkRebuilt(ctx: Ctx, server: Server, image: BootImage): Promise<void> {
  const { flavor, systemMetadata } = server
  checkHardware(flavor, image)
  const hardwareWith = (of: KeptImage | BootImage | null) => {
    const { machine, resources, moreResources, traits } = keptHardware(flavor, of)
    return { claimed: JSON.stringify({ machine, resources, moreResources }), traits: JSON.stringify(traits) }
  }
  const [now, then] = [hardwareWith(keptImage(systemMetadata)), hardwareWith(image)]
  if (then.claimed !== now.claimed)
    throw badRequest(
      "An instance's NUMA topology cannot be changed as part of a rebuild. The image provided is invalid for this " +
        "instance.",
    )
  const asRebuilt = { ...server, systemMetadata: imageFacts(image) }
  if (then.traits !== now.traits && (await refusalWhereItIs(ctx, asRebuilt, flavor)) !== null)
    throw badRequest(
      "Image traits cannot be satisfied by the current resource providers. Either specify a different image during " +
        "rebuild or create a new server with the specified image.",
    )
}

async function rootVolume(ctx: Ctx, server: Server): Promise<Volume | undefined> {
  return (await machineVolumes(ctx.db, server)).find(({ device }) => device.bootIndex === 0)?.volume
}

/** The volume that is to get the image's data. Throws when they do not fit. */
async function planVolume(ctx: Ctx, server: Server, image: BootImage) {
  const volume = await rootVolume(ctx, server)
  if (!volume) throw badRequest("The volume that the server boots from is not there.")
  if (image.sizeBytes === 0)
    throw badRequest(`Image ${image.id} is unacceptable: it has no data that a volume could get.`)
  checkVolumeFits(image, volume.sizeGib, server.flavor)
  return { volumeId: volume.id, plan: await planReimage(ctx, image.id) }
}

/** The machine is made anew, its boot volume is not: which image that was made from, the volume says. */
async function checkSameImage(ctx: Ctx, server: Server, imageId: string): Promise<void> {
  const root = await rootVolume(ctx, server)
  if (imageId !== root?.imageMetadata?.image_id)
    throw badRequest(
      `Image ${imageId} is unacceptable: Unable to rebuild with a different image for a volume-backed server.`,
    )
}
