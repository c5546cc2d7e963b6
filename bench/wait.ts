// What a client waits for by asking again and again.
import { setTimeout as delay } from "node:timers/promises"
import { call, type Session } from "./client.ts"

export const longMs = 600_000

export async function untilStatus(
  session: Session,
  path: string,
  kind: string,
  status: string,
): Promise<void> {
  type Reply = Record<string, { status: string }>
  await until(`${kind} to be ${status}`, async () => {
    const now = (await call<Reply>(session, "GET", path))[kind]?.status ?? ""
    if (now.toLowerCase().startsWith("error")) throw new Error(`${path} is ${now}`)
    return now === status
  })
}

const askEveryMs = 20

export async function until(
  what: string,
  isDone: () => Promise<boolean>,
  everyMs = askEveryMs,
): Promise<void> {
  const startedMs = performance.now()
  while (!(await isDone())) {
    if (performance.now() - startedMs > longMs) throw new Error(`waited too long for ${what}`)
    await delay(everyMs)
  }
}
