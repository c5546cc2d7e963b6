// What a host may do on the cloud's bus: serve its own topic, report of itself, and ask which of its machines may
// start. What it says is checked here, as whoever has taken over one host must not speak for another.
import {
  type AgentReport,
  agentReports,
  agentReportTopic,
  agentTopic,
  startRightsTopic,
} from "../../agent/protocol.ts"
import type { Bus } from "../../platform/bus/bus.ts"
import { knownPart } from "../../platform/schema/known.ts"
import { hostMayNot, hostTooOften } from "../faults.ts"

/** Topics are the host's words: no more of them comes back or into the log. */
const shownMost = 100

/**
 * Reports at once, and then in a second: all machines of a large host may end together, and each report costs the
 * cloud a look into the database. A refused one costs a moment; the reconciler tells the same.
 */
const reportsAtOnce = 500
const reportsPerSecond = 50

/** The cloud's bus as the host may use it, for one connection. */
export function busOfHost(bus: Bus, host: string, address: string): Bus {
  const refuse = (what: string) => Promise.reject(hostMayNot(host, what.slice(0, shownMost)))
  const mayReport = allowance(reportsAtOnce, reportsPerSecond)
  return {
    name: bus.name,
    call: async (topic, _method, args, how) => {
      if (topic !== startRightsTopic) return await refuse(`ask ${topic}`)
      if (!mayReport()) throw hostTooOften(host)
      // Of no host but itself.
      return await bus.call(topic, host, args, how)
    },
    cast: (topic) => refuse(`tell ${topic}`),
    subscribe: (topic) => refuse(`hear ${topic}`),
    serve: async (topic, handler, options) =>
      topic === agentTopic(host) ? await bus.serve(topic, handler, options) : await refuse(`serve ${topic}`),
    publish: async (topic, message) => {
      if (topic !== agentReportTopic) return await refuse(`publish ${topic}`)
      if (!mayReport()) throw hostTooOften(host)
      const report = reportOf(message, host, address)
      if (!report) return await refuse("report that")
      await bus.publish(topic, report)
    },
    [Symbol.asyncDispose]: async () => {},
  }
}

/** So many at once, and so many more with each second. */
function allowance(most: number, perSecond: number): () => boolean {
  let left = most
  let at = performance.now()
  return () => {
    const now = performance.now()
    left = Math.min(most, left + ((now - at) / 1_000) * perSecond)
    at = now
    if (left < 1) return false
    left -= 1
    return true
  }
}

function reportOf(message: unknown, host: string, address: string): AgentReport | undefined {
  const report = knownPart(agentReports.alive, message) ?? knownPart(agentReports.vm, message)
  if (report?.host !== host) return undefined
  if (report.kind !== "alive") return report
  const { host: described, hostIp } = report.description
  return described === host && hostIp === address ? report : undefined
}
