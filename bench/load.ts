// A load generator that stops by itself: bounded in requests and in time, loopback only.
import { setTimeout as delay } from "node:timers/promises"
import { Pool } from "undici"
import { percentile } from "./report.ts"

export interface Sample {
  /** Requests per second over the whole run. */
  perSecond: number
  medianMs: number
  p99Ms: number
  requests: number
  failures: number
  /** With those of the warm-up. */
  sent: number
}

export interface LoadRequest {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE"
  path: string
  headers: Record<string, string>
  body?: string
}

export interface LoadOptions {
  url: string
  concurrency: number
  /** Both bounds hold. */
  durationMs: number
  requestsMax?: number
  request: (index: number) => LoadRequest
  okStatus?: readonly number[]
  /** What ends in this time is not counted. Default: a tenth of the duration. */
  warmUpMs?: number
  /** A fixed pace instead of one request after the other. The time of a request then begins when it was due, so that
   *  a server that stands still cannot hide it by keeping the next requests from being sent. */
  paceMs?: number
}

/** Runs `concurrency` loops of request after request. */
export async function load(options: LoadOptions): Promise<Sample> {
  const {
    url,
    concurrency,
    request,
    okStatus = [200],
    requestsMax = Number.POSITIVE_INFINITY,
    paceMs,
  } = options
  const pool = new Pool(url, { connections: concurrency, pipelining: 1 })
  const times: number[] = []
  let failures = 0
  let index = 0
  const startedMs = performance.now()
  const warmUntilMs = startedMs + (options.warmUpMs ?? options.durationMs / 10)
  const endMs = warmUntilMs + options.durationMs
  let lastMs = warmUntilMs
  const loop = async () => {
    while (index < requestsMax && performance.now() < endMs) {
      const own = index++
      let sentMs = performance.now()
      if (paceMs !== undefined) {
        const dueMs = startedMs + own * paceMs
        if (dueMs > sentMs) await delay(dueMs - sentMs)
        sentMs = dueMs
      }
      const { headers, ...rest } = request(own)
      const response = await pool.request({ ...rest, headers })
      await response.body.dump({ limit: 64 * 1024 * 1024 })
      const doneMs = performance.now()
      if (doneMs < warmUntilMs) continue
      lastMs = doneMs
      if (okStatus.includes(response.statusCode)) times.push(doneMs - sentMs)
      else failures++
    }
  }
  try {
    await Promise.all(Array.from({ length: concurrency }, loop))
  } finally {
    await pool.destroy()
  }
  return {
    perSecond: (times.length / (lastMs - warmUntilMs)) * 1000,
    medianMs: percentile(times, 0.5),
    p99Ms: percentile(times, 0.99),
    requests: times.length + failures,
    failures,
    sent: index,
  }
}
