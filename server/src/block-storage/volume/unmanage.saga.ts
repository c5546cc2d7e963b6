// The data are left first, then the row goes: what no row knows is beside the volumes, under the volume's id.
import { saga, withLog } from "../../engine/saga/saga.ts"
import { callAgent } from "../agent-call.ts"
import { unmanagedName } from "../pool/manageable.ts"
import { giveBack } from "../pool/place.ts"
import { notifyVolume } from "./notification.ts"
import { removeVolume } from "./store.ts"
import { abandonVolume, heldVolume, type VolumeTask } from "./task.ts"

export const unmanageVolumeSaga = saga<VolumeTask>("block_storage.volume.unmanage", 1)
  .step("leave", {
    waits: true,
    do: async ({ ctx, params, fence, signal }) => {
      const { host, backend } = await heldVolume(ctx, params)
      if (host === null || backend === null) return
      const { volumeId, generation } = params
      const name = unmanagedName("volume", volumeId)
      const command = { volumeId, backend, name, fence: { generation, fence } }
      await callAgent(ctx, host, "volume.unmanage", command, { signal })
    },
  })
  .step("rows", {
    do: ({ ctx, params }) =>
      withLog(async (tx) => {
        const volume = await heldVolume({ db: tx }, params)
        if (volume.host !== null && volume.backend !== null)
          await giveBack(tx, { host: volume.host, backend: volume.backend }, volume.sizeGib)
        await removeVolume(tx, params)
        await notifyVolume(ctx, tx, volume, "unmanage.end", params)
      }),
  })
  .onUnwound(({ ctx, params, failure }) =>
    withLog((tx) =>
      abandonVolume(ctx, tx, params, "unmanage", { changes: { status: "error_unmanaging" }, failure }),
    ),
  )
