// Jobs of the block layer that nobody wants any more, whoever has begun them.
import { cancelJob, dismissJob, type Job, queryJobs } from "./commands.ts"
import type { QmpConnection } from "./connection.ts"
import { QmpError } from "./errors.ts"
import { eventuallyInQemu } from "./wait.ts"

const endTimeoutMs = 60_000
const pollMs = 50

/** Whatever it has done: QEMU has let go of what it used when this returns. */
export async function dropJob(qmp: QmpConnection, id: string): Promise<void> {
  const isOver = async () => {
    const job = await findJob(qmp, id)
    return !job || job.status === "concluded"
  }
  if (!(await isOver())) {
    await ignoreQmpError(cancelJob(qmp, id))
    await eventuallyInQemu("a job to end", isOver, { timeoutMs: endTimeoutMs, intervalMs: pollMs })
  }
  if (await findJob(qmp, id)) await ignoreQmpError(dismissJob(qmp, id))
}

export async function findJob(qmp: QmpConnection, id: string): Promise<Job | undefined> {
  return (await queryJobs(qmp)).find((job) => job.id === id)
}

/** Of what may be gone meanwhile, or in use. */
export async function ignoreQmpError(command: Promise<void>): Promise<void> {
  try {
    await command
  } catch (error) {
    if (!(error instanceof QmpError)) throw error
  }
}
