import { saga, withLog } from "../../engine/saga/saga.ts"
import { callAgent } from "../agent-call.ts"
import { volumeInvalid } from "../faults.ts"
import { awaitCopies } from "./copies.ts"
import { abandonVolume, finishVolume, heldVolume, type VolumeTask } from "./task.ts"

export interface RevertParams extends VolumeTask {
  snapshotId: string
}

export const revertVolumeSaga = saga<RevertParams>("block_storage.volume.revert", 1)
  .step("revert", {
    do: async ({ ctx, params, fence, signal }) => {
      const { host, backend, id: volumeId } = await heldVolume(ctx, params)
      if (host === null || backend === null) throw volumeInvalid(`Volume ${volumeId} has no data yet.`)
      const { generation, snapshotId: fromVolumeId } = params
      const command = { volumeId, backend, fromVolumeId, fence: { generation, fence } }
      await awaitCopies(ctx, volumeId, signal)
      await callAgent(ctx, host, "volume.revert", command, { signal })
      return withLog((tx) => finishVolume(ctx, tx, params, "revert", { status: "available" }))
    },
    timeoutMs: 2 * 3_600_000,
  })
  .onUnwound(({ ctx, params, failure }) =>
    withLog((tx) => abandonVolume(ctx, tx, params, "revert", { changes: { status: "error" }, failure })),
  )
