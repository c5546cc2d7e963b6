// A load generator that stops by itself: bounded in requests and in time, loopback only.
import { Pool } from "undici"

export interface Sample {
  /** Requests per second over the whole run. */
  perSecond: number
  medianMs: number
  p99Ms: number
  requests: number
  failures: number
}

export interface LoadOptions {
  url: string
  concurrency: number
  /** Both bounds hold. */
  durationMs: number
  requestsMax: number
  request: (index: number) => LoadRequest
  okStatus: readonly number[]
}

export interface LoadRequest {
  method: "GET" | "POST" | "PUT" | "DELETE"
  path: string
  headers: Record<string, string>
  body?: string
}

/** Runs `concurrency` loops of request after request. The first tenth of the time warms up and is not counted. */
export async function load(options: LoadOptions): Promise<Sample> {
  const pool = new Pool(options.url, { connections: options.concurrency, pipelining: 1 })
  const times: number[] = []
  let failures = 0
  let index = 0
  const startedMs = performance.now()
  const warmUntilMs = startedMs + options.durationMs / 10
  const endMs = warmUntilMs + options.durationMs
  let firstCountedMs = 0
  const loop = async () => {
    while (index < options.requestsMax && performance.now() < endMs) {
      const request = options.request(index++)
      const sentMs = performance.now()
      const response = await pool.request({ ...request, headers: request.headers })
      await response.body.dump({ limit: 64 * 1024 * 1024 })
      const doneMs = performance.now()
      if (sentMs < warmUntilMs && options.requestsMax > 1_000) continue
      if (firstCountedMs === 0) firstCountedMs = sentMs
      if (options.okStatus.includes(response.statusCode)) times.push(doneMs - sentMs)
      else failures++
    }
  }
  await Promise.all(Array.from({ length: options.concurrency }, loop))
  const tookMs = performance.now() - firstCountedMs
  await pool.close()
  times.sort((a, b) => a - b)
  return {
    perSecond: (times.length / tookMs) * 1000,
    medianMs: times[Math.floor(times.length / 2)] ?? Number.NaN,
    p99Ms: times[Math.floor(times.length * 0.99)] ?? Number.NaN,
    requests: times.length + failures,
    failures,
  }
}
