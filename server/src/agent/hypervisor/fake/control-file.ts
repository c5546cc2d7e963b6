// `control.json` in the directory of a fake hypervisor: what it is told from outside, read again whenever it changes.
import { readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import type { FakeControl, FakeOptions } from "./options.ts"

const intervalMs = 250

export type ToldControl = FakeControl & { losePower?: true | string[] }

export async function watchControl(
  { dir, clock }: Pick<FakeOptions, "dir" | "clock">,
  signal: AbortSignal,
  obey: (control: ToldControl) => void,
): Promise<void> {
  const path = join(dir, "control.json")
  let seen = 0
  const look = () => {
    const { mtimeMs } = statSync(path)
    if (mtimeMs === seen) return
    const control = JSON.parse(readFileSync(path, "utf8")) as ToldControl
    seen = mtimeMs
    obey(control)
  }
  while (!signal.aborted) {
    try {
      look()
    } catch {
      // There is none, or it is being written; the next look will see it.
    }
    await clock.sleep(intervalMs, signal).catch(() => {})
  }
}
