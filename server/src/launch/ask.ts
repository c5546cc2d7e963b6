// Commands that the running cloud answers: asking it, and saying so when none runs.
import { readMainState } from "./cloud-dir.ts"
import { askCloud } from "./control.ts"
import { dataWords } from "./options.ts"
import { readParent } from "./parent.ts"

/** An answer as JSON brings it. */
export type Sent<T> = T extends Date ? string : T extends object ? { [K in keyof T]: Sent<T[K]> } : T

/** Of a cloud that does not answer. */
export type AwayState = "starting" | "stopping" | "stopped"

export function awayState(dataDir: string): AwayState {
  const main = readMainState(dataDir)
  if (main) return main.isReady ? "stopping" : "starting"
  return readParent(dataDir) ? "starting" : "stopped"
}

/** Why it does not answer, and what to do. */
export function awayText(dataDir: string): string {
  const cloud = `The cloud in ${dataDir}`
  const state = awayState(dataDir)
  if (state === "stopping") return `${cloud} is being stopped.`
  if (state === "stopped") return `${cloud} is not running. Start it with: ./kumoi up${dataWords(dataDir)}`
  if (readMainState(dataDir)) return `${cloud} is being started. Ask again in a moment.`
  return `${cloud} is being started again, after its process died. Ask again in a moment.`
}

/** The answer, or null with a word to the user when the cloud is not running. */
export async function askRunning<Answer>(
  dataDir: string,
  path: string,
  question: unknown,
  timeoutMs: number,
): Promise<Answer | null> {
  // What the path's own answer function answers, as JSON.
  const answer = (await askCloud(dataDir, path, question, timeoutMs)) as Answer | null
  if (answer === null) process.stderr.write(`kumoi: ${awayText(dataDir)}\n`)
  return answer
}

export function sizeText(bytes: number): string {
  if (bytes >= 1024 ** 3) return `${(bytes / 1024 ** 3).toFixed(1)} GiB`
  if (bytes < 1024 ** 2) return `${Math.ceil(bytes / 1024)} KiB`
  return `${(bytes / 1024 ** 2).toFixed(bytes < 10 * 1024 ** 2 ? 1 : 0)} MiB`
}

/** Rows under a heading, each column as wide as its longest word. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)))
  const line = (row: readonly string[]) =>
    row
      .map((word, column) => word.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd()
  return `${all.map(line).join("\n")}\n`
}
