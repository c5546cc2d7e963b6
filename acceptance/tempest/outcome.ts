// What Tempest says of each test while it runs, and its sums.

export interface Outcome {
  /** Of a test; or of a class, as `setUpClass (a.b.Class)`, when all of it was skipped or its set-up failed. */
  name: string
  outcome: "passed" | "skipped" | "failed"
  /** Why it was skipped. */
  reason?: string
}

const line = /^\{\d+\} (.+?) (?:\[[\d.]+s\] )?\.\.\. (ok|SKIPPED|FAILED)(?:: (.*))?$/gm

export function readOutcomes(output: string): Outcome[] {
  const words = { ok: "passed", SKIPPED: "skipped", FAILED: "failed" } as const
  return [...output.matchAll(line)].map(([, name = "", word = "", reason]) => ({
    name,
    // The pattern has these words only.
    outcome: words[word as keyof typeof words],
    ...(reason === undefined ? {} : { reason }),
  }))
}

export interface Summary {
  passed: number
  skipped: number
  failed: string[]
  /** Number of tests by reason. */
  skips: Map<string, number>
}

/** Sums in tests. `listed` names all tests that were asked for, to count those of a class that was skipped whole. */
export function summarize(outcomes: readonly Outcome[], listed: readonly string[]): Summary {
  const skips = new Map<string, number>()
  for (const { name, outcome, reason = "" } of outcomes) {
    if (outcome !== "skipped") continue
    const ofClass = /^setUpClass \((.+)\)$/.exec(name)?.[1]
    const tests = ofClass === undefined ? 1 : listed.filter((test) => test.startsWith(`${ofClass}.`)).length
    skips.set(reason, (skips.get(reason) ?? 0) + tests)
  }
  return {
    passed: outcomes.filter((o) => o.outcome === "passed").length,
    skipped: [...skips.values()].reduce((sum, n) => sum + n, 0),
    failed: outcomes.filter((o) => o.outcome === "failed").map((o) => o.name),
    skips,
  }
}

/** The sums in lines to read. */
export function describeSummary(summary: Summary, listed: number): string[] {
  const { passed, skipped, failed, skips } = summary
  const reasons = [...skips].sort((a, b) => b[1] - a[1])
  return [
    `${listed} tests: ${passed} passed, ${skipped} skipped, ${failed.length} failed`,
    ...reasons.map(([reason, n]) => `  ${String(n).padStart(4)} skipped: ${reason}`),
    ...failed.map((name) => `  failed: ${name}`),
  ]
}
