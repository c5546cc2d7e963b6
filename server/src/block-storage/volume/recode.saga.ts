// A volume becomes encrypted, or is so no more: its host makes its data anew, at one moment, and can tell from them and
// the key which of the two they are. The key is there from the claim until the data are plain, and in doubt meanwhile.
import { saga, withLog } from "../../engine/saga/saga.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { callAgent } from "../agent-call.ts"
import { awaitCopies } from "./copies.ts"
import { placeOf, statusBefore } from "./extend.saga.ts"
import { type Coding, endRecoding } from "./key.ts"
import { selectVolume } from "./store.ts"
import { abandonVolume, finishVolume, heldVolume, holdVolume, type VolumeTask } from "./task.ts"

export interface RecodeParams extends VolumeTask {
  becomes: Coding
  volumeTypeId: string
  isMultiattach: boolean
}

const otherThan = (coding: Coding): Coding => (coding === "luks" ? "plain" : "luks")

export const recodeVolumeSaga = saga<RecodeParams>("block_storage.volume.recode", 1)
  .step("data", {
    do: async ({ ctx, params, fence, signal }) => {
      const { host, backend } = placeOf(await heldVolume(ctx, params))
      const { volumeId, generation, becomes, volumeTypeId, isMultiattach } = params
      await awaitCopies(ctx, volumeId, signal)
      const command = { volumeId, backend, becomes, fence: { generation, fence } }
      await callAgent(ctx, host, "volume.recode", command, { signal })
      return withLog(async (tx) => {
        const status = statusBefore(await holdVolume(tx, params))
        await endRecoding(tx, volumeId, becomes)
        await finishVolume(ctx, tx, params, "retype", {
          ...{ status, volumeTypeId, isMultiattach, target: null },
        })
      })
    },
    undo: async ({ ctx, params, fence, signal }) => {
      const { volumeId, generation, becomes } = params
      const volume = await selectVolume(ctx.db, volumeId)
      // Another task takes it only after this one has let go of it.
      if (volume?.generation !== generation) return
      const { host, backend } = placeOf(volume)
      const command = { volumeId, backend, becomes: otherThan(becomes), fence: { generation, fence } }
      await callAgent(ctx, host, "volume.recode", command, { signal }).catch((error: unknown) => {
        // Then it has not done it before either.
        if (!(error instanceof Fault && error.code === "agent.command.too_new")) throw error
      })
    },
    timeoutMs: 2 * 3_600_000,
  })
  .onUnwound(({ ctx, params, failure }) =>
    withLog(async (tx) => {
      const volume = await selectVolume(tx, params.volumeId)
      if (volume?.generation !== params.generation) return
      await endRecoding(tx, params.volumeId, otherThan(params.becomes))
      await abandonVolume(ctx, tx, params, "retype", {
        changes: { status: statusBefore(volume), target: null },
        failure,
      })
    }),
  )
