import { Type } from "typebox"
import { configSection, type SectionOf } from "../platform/config/config.ts"

const count = (value: number, description: string) =>
  Type.Integer({ minimum: 1, default: value, description })

export const engineSection = configSection(
  "engine",
  Type.Object({
    sagaConcurrency: count(
      64,
      "Sagas that one process runs at once; most of their time they wait for agents.",
    ),
    sagaLeaseMs: count(10_000, "How long a dead worker's sagas wait for another; renewed at a third of it."),
    sagaPollMs: count(1_000, "How often a worker looks for sagas of others when nothing wakes it."),
    sagaStepTimeoutMs: count(60_000, "Time of a step that names none."),
    sagaSettleMs: count(2_000, "How long a step that was told to stop may take to do so."),
    sagaRetryFirstMs: count(200, "First pause before a step is tried again; doubles each time."),
    sagaRetryMostMs: count(30_000, "Longest pause before a step is tried again."),
    sagaDoAttemptsMost: count(8, "Tries of a step whose other side is unavailable, before the saga unwinds."),
    sagaUndoAttemptsMost: count(
      20,
      "Tries of an undo that fails by itself before the saga is stuck and needs an operator; what it finds away does " +
        "not count.",
    ),
    sagaWaitMostMs: count(
      120_000,
      "Longest pause of a saga that waits for a host or an engine that is away; it waits as long as that takes.",
    ),
    sagaWaitAlarm: count(
      12,
      "Tries in a row that find the other side away until the log and `kumoi status` tell of the saga: by the pauses " +
        "above some seven minutes.",
    ),
    sagaKeepMs: count(7 * 86_400_000, "How long the log of an ended saga is kept for operators."),
    stopGraceMs: count(5_000, "How long running steps may take to end when the process stops."),
    outboxBatch: count(200, "Events that are published in one go."),
    outboxGatherMs: Type.Integer({
      minimum: 0,
      default: 20,
      description: "How long the publisher waits for more events, to publish them in one go.",
    }),
    outboxPollMs: count(2_000, "How often the publisher looks for events of other processes."),
    outboxLeaseMs: count(
      15_000,
      "How long a dead publisher holds up the next one; renewed at a third of it.",
    ),
    outboxAlarmMs: count(
      60_000,
      "How long events may wait for a broker that does not confirm them, until `kumoi status` tells of it.",
    ),
    outboxKeepMs: count(3_600_000, "How long published events are kept for the live event stream."),
    outboxSubscribersMost: count(256, "Live event streams of one process."),
    reconcilerLeaseMs: count(15_000, "How long a dead process's reconciler run blocks the next one."),
    pruneEveryMs: count(600_000, "How often old sagas and events are removed."),
  }),
)

export type EngineConfig = SectionOf<typeof engineSection>

declare module "../platform/config/config.ts" {
  interface Config {
    readonly engine: EngineConfig
  }
}
