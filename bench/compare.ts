// Two files of figures side by side, as ratios.
import { type Figure, format, type Measure, type RunRecord } from "./report.ts"

/** Closer than this is the same: two runs of one program differ as much. */
const noise = 0.1

export interface Difference {
  part: string
  what: string
  before: Measure
  after: Measure
  /** after / before */
  ratio: number
  verdict: "better" | "worse" | "same"
}

export function differences(before: RunRecord, after: RunRecord): Difference[] {
  const known = new Map(before.figures.map((figure) => [keyOf(figure), figure]))
  return after.figures.flatMap((figure) => {
    const old = known.get(keyOf(figure))
    return figure.measures.flatMap((measure) => {
      const was = old?.measures.find((m) => m.name === measure.name && m.unit === measure.unit)
      if (!was) return []
      const { part, what } = figure
      const ratio = measure.value / was.value
      return [{ part, what, before: was, after: measure, ratio, verdict: verdictOf(ratio, measure) }]
    })
  })
}

function keyOf({ part, what }: Figure): string {
  return `${part}/${what}`
}

function verdictOf(ratio: number, { unit }: Measure): Difference["verdict"] {
  if (Math.abs(ratio - 1) <= noise || Number.isNaN(ratio)) return "same"
  return ratio > 1 === (unit === "/s") ? "better" : "worse"
}

export function comparison(before: RunRecord, after: RunRecord): string {
  const found = differences(before, after)
  const names = found.map((d) => `${d.what}${d.after.name ? `: ${d.after.name}` : ""}`)
  const width = Math.max(0, ...names.map((name) => name.length))
  const lines = [`before: ${titleOf(before)}`, `after:  ${titleOf(after)}`]
  let part = ""
  for (const [i, d] of found.entries()) {
    if (d.part !== part) lines.push("", d.part)
    part = d.part
    const values = [d.before, d.after].map((m) => format(m.value, m.unit).padStart(13)).join("")
    const verdict = d.verdict === "same" ? "" : `  ${d.verdict}`
    lines.push(`  ${(names[i] ?? "").padEnd(width)}${values}  ${d.ratio.toFixed(2).padStart(6)}x${verdict}`)
  }
  const keys = (record: RunRecord) => new Set(record.figures.map(keyOf))
  const only = (of: Set<string>, not: Set<string>) => [...of].filter((key) => !not.has(key))
  const [old, fresh] = [keys(before), keys(after)]
  for (const key of only(old, fresh)) lines.push(`only before: ${key}`)
  for (const key of only(fresh, old)) lines.push(`only after: ${key}`)
  return `${lines.join("\n")}\n`
}

function titleOf({ commit, startedAt, figures }: RunRecord): string {
  const loads = figures.map((figure) => figure.loadAverage)
  const range =
    loads.length > 0 ? `, load ${Math.min(...loads).toFixed(1)} to ${Math.max(...loads).toFixed(1)}` : ""
  return `${commit} at ${startedAt}${range}`
}
