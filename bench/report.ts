// Figures as they come, the table at the end, and the file that keeps them.
import { readFileSync } from "node:fs"
import { cpus, loadavg, release, totalmem } from "node:os"

/** Only of "/s" is more better. A "x" is a ratio, a "%" a share. */
export type Unit = "ms" | "s" | "/s" | "MB" | "processes" | "x" | "%"

export interface Measure {
  name: string
  value: number
  unit: Unit
  /** At least this for "/s", at most this for the others. */
  target?: number
}

export interface Figure {
  part: string
  what: string
  measures: Measure[]
  /** Where several runs were made: each of them, in the unit of the first measure. */
  samples?: number[]
  note?: string
  /** For the file only. */
  detail?: string
  /** Of the last minute, when the figure was taken. A busy machine measures itself. */
  loadAverage: number
}

export interface RunRecord {
  startedAt: string
  commit: string
  command: string
  machine: { processor: string; processors: number; memoryMb: number; kernel: string; node: string }
  figures: Figure[]
}

/** The Nth smallest where N is `part` of all; NaN of nothing. */
export function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
}

/** Between the two in the middle when there are two. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN
  return (lower + upper) / 2
}

export function isMet({ value, unit, target }: Measure): boolean | undefined {
  if (target === undefined) return undefined
  return unit === "/s" ? value >= target : value <= target
}

export function format(value: number, unit: Unit): string {
  if (unit === "processes") return `${value} ${unit}`
  const digits = value < 10 ? 2 : value < 100 ? 1 : 0
  const text = value.toFixed(digits)
  if (unit === "x") return `${text}x`
  return unit === "/s" || unit === "%" ? `${text}${unit}` : `${text} ${unit}`
}

export class Report {
  readonly figures: Figure[] = []
  #part = ""

  begin(part: string): void {
    this.#part = part
    process.stderr.write(`\n${part}\n`)
  }

  add(
    what: string,
    measures: Measure[],
    more: { samples?: number[]; note?: string; detail?: string } = {},
  ): void {
    const figure = { part: this.#part, what, measures, ...more, loadAverage: loadavg()[0] ?? 0 }
    this.take(figure)
  }

  /** Several runs of one thing. The target is for the median: the best run is luck. */
  addRuns(
    what: string,
    samples: number[],
    unit: Unit,
    more: { target?: number; note?: string; detail?: string } = {},
  ): void {
    const { target, ...rest } = more
    const middle = {
      name: "median",
      value: median(samples),
      unit,
      ...(target === undefined ? {} : { target }),
    }
    const best = { name: "min", value: Math.min(...samples), unit }
    const count = `${samples.length} runs${rest.note ? `, ${rest.note}` : ""}`
    this.add(what, [middle, best], { ...rest, samples, note: count })
  }

  /** One that was made elsewhere. */
  take(figure: Figure): void {
    this.figures.push(figure)
    process.stderr.write(`  ${row(figure).join("  ")}\n`)
  }

  table(): string {
    const lines: string[] = []
    let part = ""
    const rows = this.figures.map(row)
    const widths = [0, 1].map((column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)))
    for (const [i, figure] of this.figures.entries()) {
      if (figure.part !== part) lines.push("", figure.part)
      part = figure.part
      const [what = "", seen = "", ...rest] = rows[i] ?? []
      const cells = [what.padEnd(widths[0] ?? 0), seen.padEnd(widths[1] ?? 0), ...rest]
      lines.push(`  ${cells.join("  ")}`.trimEnd())
    }
    return `${lines.join("\n")}\n`
  }
}

function row({ what, measures, note, loadAverage }: Figure): [string, string, string] {
  const seen = measures.map((m) => `${m.name ? `${m.name} ` : ""}${format(m.value, m.unit)}`).join("  ")
  const targets = measures.flatMap((m) => {
    if (m.target === undefined) return []
    const bound = `${m.unit === "/s" ? ">=" : "<="} ${format(m.target, m.unit)}`
    return [`target ${m.name} ${bound}: ${isMet(m) ? "met" : "MISSED"}`.replace("  ", " ")]
  })
  const remarks = [...targets, ...(note ? [note] : []), `load ${loadAverage.toFixed(1)}`]
  return [what, seen, remarks.join("; ")]
}

export function describeMachine(): RunRecord["machine"] {
  return {
    processor: cpus()[0]?.model ?? "?",
    processors: cpus().length,
    memoryMb: Math.round(totalmem() / 1_048_576),
    kernel: release(),
    node: process.version,
  }
}

export function readRecord(path: string): RunRecord {
  const record: RunRecord = JSON.parse(readFileSync(path, "utf8"))
  if (!Array.isArray(record.figures)) throw new Error(`${path} is not a file that --json wrote`)
  return record
}
