// What servers used in a period: hours between launch and end, times their size. Pure.
import type { UsedServer } from "./used-server.ts"

export interface ServerUsage extends UsedServer {
  hours: number
  uptimeSeconds: number
}

export interface ProjectUsage {
  projectId: string
  start: Date
  end: Date
  hours: number
  vcpuHours: number
  ramMibHours: number
  diskGibHours: number
  servers: ServerUsage[]
}

export interface Period {
  start: Date
  end: Date
}

const hourMs = 3_600_000

export function hoursWithin(server: Pick<UsedServer, "launchedAt" | "terminatedAt">, period: Period): number {
  const from = Math.max(server.launchedAt.getTime(), period.start.getTime())
  const until = Math.min(server.terminatedAt?.getTime() ?? Number.POSITIVE_INFINITY, period.end.getTime())
  return Math.max(0, until - from) / hourMs
}

export function usageOf(server: UsedServer, period: Period, now: Date): ServerUsage {
  const uptimeMs = (server.terminatedAt ?? now).getTime() - server.launchedAt.getTime()
  return {
    ...server,
    hours: hoursWithin(server, period),
    uptimeSeconds: Math.max(0, Math.floor(uptimeMs / 1000)),
  }
}

/** One sum for each project, in the order of the servers. */
export function sumByProject(servers: readonly UsedServer[], period: Period, now: Date): ProjectUsage[] {
  const byProject = new Map<string, ProjectUsage>()
  for (const server of servers) {
    const usage = usageOf(server, period, now)
    let sum = byProject.get(server.projectId)
    if (!sum) {
      sum = {
        projectId: server.projectId,
        ...period,
        hours: 0,
        vcpuHours: 0,
        ramMibHours: 0,
        diskGibHours: 0,
        servers: [],
      }
      byProject.set(server.projectId, sum)
    }
    sum.hours += usage.hours
    sum.vcpuHours += usage.hours * usage.vcpus
    sum.ramMibHours += usage.hours * usage.ramMib
    sum.diskGibHours += usage.hours * usage.diskGib
    sum.servers.push(usage)
  }
  return [...byProject.values()]
}
