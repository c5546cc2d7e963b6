// A task is one change of a volume that takes time: the claim and the saga commit together, the end is a
// compare-and-set on the generation of the claim. Whoever lost the volume to a later task touches nothing more.
import type { SagaFailure } from "../../engine/saga/saga.ts"
import type { Ctx, Platform } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { volumeInvalid, volumeNotFound, volumeSuperseded } from "../faults.ts"
import { type MessageAction, noteMessage } from "../message/note.ts"
import { type Actor, notifyVolume } from "./notification.ts"
import { movingRefusal, refusalOf, type VolumeAction, type VolumeRule, volumeRules } from "./state.ts"
import {
  changeVolume,
  lockVolume,
  selectVolume,
  takeVolume,
  type VolumeChanges,
  volumeRows,
} from "./store.ts"
import type { Volume } from "./volume.ts"

/** Parameters of every saga of a volume. */
export interface VolumeTask extends Actor {
  volumeId: string
  generation: number
}

export function actorOf(ctx: Ctx): Actor {
  return { requestId: ctx.requestId, userId: ctx.caller.userId, projectId: ctx.caller.projectId }
}

/** Takes the volume for the action, or throws what Cinder says when its status forbids it. */
export async function claimVolume(
  tx: Tx,
  volumeId: string,
  action: VolumeAction,
  changes: Omit<VolumeChanges, "status"> = {},
): Promise<Volume> {
  return await claimByRule(tx, volumeId, volumeRules[action], changes)
}

export async function claimByRule(
  tx: Tx,
  volumeId: string,
  rule: VolumeRule,
  changes: Omit<VolumeChanges, "status"> = {},
): Promise<Volume> {
  const claimed = await takeVolume(tx, volumeId, rule, changes)
  if (claimed) return claimed
  const now = await selectVolume(tx, volumeId)
  if (!now) throw volumeNotFound(volumeId)
  if (now.targetHost !== null) throw volumeInvalid(movingRefusal(rule.verb, volumeId))
  throw volumeInvalid(refusalOf(rule, now))
}

export const { held: heldVolume, advance: advanceVolume } = volumeRows

/** As `heldVolume`, and no other task takes the volume before this transaction ends. */
export async function holdVolume(tx: Tx, task: VolumeTask): Promise<Volume> {
  const volume = await lockVolume(tx, task.volumeId)
  if (!volume || volume.generation !== task.generation) throw volumeSuperseded(task.volumeId)
  return volume
}

/** The end of a task that went well: `extend` → `volume.extend.end`. */
export async function finishVolume(
  platform: Platform,
  tx: Tx,
  task: VolumeTask,
  event: string,
  changes: VolumeChanges,
): Promise<void> {
  const volume = await advanceVolume(tx, task, { problem: null, ...changes })
  await notifyVolume(platform, tx, volume, `${event}.end`, task)
}

/** After a failure and its undoing: the task is over, and the user finds out why. */
export async function abandonVolume(
  platform: Platform,
  tx: Tx,
  task: VolumeTask,
  event: MessageAction,
  { changes, failure }: { changes: VolumeChanges; failure: SagaFailure },
): Promise<void> {
  const text = messageFor(failure)
  const volume = await changeVolume(tx, task, { problem: text, ...changes })
  // Another task has it now: what became of this one is nobody's business any more.
  if (!volume) return
  await notifyVolume(platform, tx, volume, `${event}.error`, task, { code: failure.code })
  const { id: resourceId, projectId } = volume
  const { requestId } = task
  await noteMessage(platform, tx, {
    ...{ resourceType: "VOLUME", resourceId, projectId, requestId, action: event, failure, text },
  })
}

/** A bug's text is for the log; and which host does not answer is not the user's to know. */
export function messageFor({ kind, code, message }: SagaFailure): string {
  if (kind === "bug") return "The host met an unexpected condition."
  if (kind === "unavailable" && /^(bus|agent)\./.test(code)) return "The host does not answer."
  return message
}
