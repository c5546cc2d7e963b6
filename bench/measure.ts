// One request, over and over, at concurrency 1 and 16, as rows of the report.
import type { Session } from "./client.ts"
import type { BenchCloud } from "./cloud.ts"
import { type LoadOptions, type LoadRequest, load, type Sample } from "./load.ts"
import { readProcessorMs } from "./processes.ts"
import type { Measure, Report } from "./report.ts"

export interface Targets {
  perSecond?: number
  p99Ms?: number
}

export function measuresOf(sample: Sample, targets: Targets = {}): { measures: Measure[]; note?: string } {
  const bound = (target: number | undefined) => (target === undefined ? {} : { target })
  const measures: Measure[] = [
    { name: "", value: sample.perSecond, unit: "/s", ...bound(targets.perSecond) },
    { name: "median", value: sample.medianMs, unit: "ms" },
    { name: "p99", value: sample.p99Ms, unit: "ms", ...bound(targets.p99Ms) },
  ]
  return sample.failures > 0
    ? { measures, note: `FAILED ${sample.failures} of ${sample.requests}` }
    : { measures }
}

export interface MeasureOptions extends Partial<Omit<LoadOptions, "url" | "request" | "concurrency">> {
  seconds: number
  /** For which concurrency, what. */
  targets?: { [concurrency: number]: Targets }
  concurrencies?: readonly number[]
  /** Before each of the loads. */
  before?: () => Promise<void>
}

export async function measure(
  report: Report,
  what: string,
  cloud: BenchCloud,
  request: (index: number) => LoadRequest,
  options: MeasureOptions,
): Promise<Sample[]> {
  const { seconds, targets = {}, concurrencies = [1, 16], before, ...rest } = options
  const samples: Sample[] = []
  for (const concurrency of concurrencies) {
    await before?.()
    const beforeMs = await readProcessorMs(cloud)
    const sample = await load({ durationMs: seconds * 1000, ...rest, url: cloud.url, concurrency, request })
    const processorMs = ((await readProcessorMs(cloud)) - beforeMs) / sample.sent
    const { measures, ...more } = measuresOf(sample, targets[concurrency])
    measures.push({ name: "cpu", value: processorMs, unit: "ms" })
    report.add(`${what}, c=${concurrency}`, measures, more)
    samples.push(sample)
  }
  return samples
}

export function get(session: Session, path: string): () => LoadRequest {
  const request: LoadRequest = { method: "GET", path, headers: { "x-auth-token": session.token } }
  return () => request
}
