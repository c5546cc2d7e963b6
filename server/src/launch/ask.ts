// Commands that the running cloud answers: asking it, and saying so when none runs.
import { askCloud } from "./control.ts"

/** The answer, or null with a word to the user when the cloud is not running. */
export async function askRunning<Answer>(
  dataDir: string,
  path: string,
  question: unknown,
  timeoutMs: number,
): Promise<Answer | null> {
  // What the path's own answer function answers, as JSON.
  const answer = (await askCloud(dataDir, path, question, timeoutMs)) as Answer | null
  if (answer === null) {
    process.stderr.write(
      `kumoi: the cloud in ${dataDir} is not running. Start it with: ./kumoi up --data ${dataDir}\n`,
    )
  }
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
