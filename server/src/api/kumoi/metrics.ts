// GET /metrics: how long operations take and what they do undeclared, and what the process uses, as Prometheus reads
// it. Each process that answers tells of itself. Only for this machine and who is named in `http.metricsCidrs`.
import type { Ctx } from "../../platform/context/context.ts"
import { fault } from "../../platform/fault/fault.ts"
import { route, type WireRequest, withHeaders } from "../../platform/http/wire.ts"
import { readRanges } from "../../platform/net/ranges.ts"
import { operationNotes } from "../../platform/operation/notes.ts"
import { operationTimes, timeBounds } from "../../platform/operation/times.ts"

const metricsForbidden = fault(
  "forbidden",
  "api.metrics.forbidden",
  () => "Metrics are for this machine and for the addresses in http.metricsCidrs.",
)

const loopback = readRanges(["127.0.0.0/8", "::1"], "")

function mayRead(ctx: Ctx, { headers }: WireRequest): boolean {
  const address = ctx.client?.address ?? ""
  if (readRanges(ctx.config.http.metricsCidrs, "http.metricsCidrs").has(address)) return true
  // A proxy on this machine that nobody vouches for speaks for somebody else.
  const isForSomebody = headers.forwarded !== undefined || headers["x-forwarded-for"] !== undefined
  return loopback.has(address) && !isForSomebody
}

type Labels = Readonly<Record<string, string>>

function line(name: string, labels: Labels, value: number): string {
  const text = Object.entries(labels).map(([key, word]) => `${key}=${JSON.stringify(word)}`)
  return `${name}${text.length > 0 ? `{${text.join(",")}}` : ""} ${value}`
}

function head(name: string, type: "counter" | "gauge" | "histogram", help: string): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`]
}

function timeLines(): string[] {
  const name = "kumoi_operation_duration_seconds"
  const lines = head(name, "histogram", "Time of operations, by how they ended.")
  for (const [operation, { byOutcome }] of operationTimes()) {
    for (const [outcome, { count, sumSeconds, counts }] of byOutcome) {
      const labels = { operation, outcome }
      let below = 0
      for (const [at, bound] of timeBounds.entries()) {
        below += counts[at] ?? 0
        lines.push(line(`${name}_bucket`, { ...labels, le: String(bound) }, below))
      }
      lines.push(line(`${name}_bucket`, { ...labels, le: "+Inf" }, count))
      lines.push(line(`${name}_sum`, labels, sumSeconds), line(`${name}_count`, labels, count))
    }
  }
  return lines
}

function noteLines(): string[] {
  const name = "kumoi_operation_undeclared_total"
  return [
    ...head(name, "counter", "Faults, calls of operations and statuses that nobody declared."),
    ...operationNotes().map(({ kind, operation, what, count }) =>
      line(name, { kind, operation, what }, count),
    ),
  ]
}

function processLines(): string[] {
  const { rss, heapUsed } = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  const busyMs = performance.eventLoopUtilization().active
  const one = (name: string, type: "counter" | "gauge", help: string, value: number) => [
    ...head(name, type, help),
    line(name, {}, value),
  ]
  return [
    ...one("process_cpu_seconds_total", "counter", "Processor time.", (user + system) / 1e6),
    ...one("process_resident_memory_bytes", "gauge", "Memory that the process holds.", rss),
    ...one("nodejs_heap_size_used_bytes", "gauge", "Memory that objects use.", heapUsed),
    ...one(
      "kumoi_event_loop_active_seconds_total",
      "counter",
      "Time that the event loop was busy.",
      busyMs / 1e3,
    ),
    ...one("process_uptime_seconds", "gauge", "Time since the process began.", process.uptime()),
  ]
}

export const metricsRoute = route({
  method: "GET",
  path: "/metrics",
  policy: "public",
  handler: async (ctx, req) => {
    if (!mayRead(ctx, req)) throw metricsForbidden()
    const text = [...timeLines(), ...noteLines(), ...processLines(), ""].join("\n")
    return withHeaders(text, { "content-type": "text/plain; version=0.0.4; charset=utf-8" })
  },
})
