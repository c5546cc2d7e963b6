// Servers by tens, as somebody starts a whole cluster.
import { setTimeout as delay } from "node:timers/promises"
import { call, type Session } from "./client.ts"
import type { Report } from "./report.ts"

/** Servers of one request, and requests at a time. */
export const serversOfRequest = 10
const requestsAtOnce = 16
const withinMs = 900_000
/** Each question looks at thousands of servers; asked often, it would be a large part of what is measured. */
const askEveryMs = 250

export interface Boots {
  admin: Session
  body: Record<string, unknown>
}

/** Waits until all are ACTIVE; gives how many. */
export async function bootByTens({ admin, body }: Boots, count: number, name: string): Promise<number> {
  let left = Math.ceil(count / serversOfRequest)
  const some = { ...body, name, min_count: serversOfRequest, max_count: serversOfRequest }
  const ask = async () => {
    while (left-- > 0) await call(admin, "POST", "/compute/v2.1/servers", { server: some })
  }
  await Promise.all(Array.from({ length: requestsAtOnce }, ask))
  const endMs = performance.now() + withinMs
  const isThere = async (status: string) => {
    const path = `/compute/v2.1/servers?name=^${name}&status=${status}&limit=1`
    return (await call<{ servers: unknown[] }>(admin, "GET", path)).servers.length > 0
  }
  while (await isThere("BUILD")) {
    if (performance.now() > endMs) throw new Error(`servers ${name} do not become ACTIVE`)
    await delay(askEveryMs)
  }
  if (await isThere("ERROR")) throw new Error(`a server ${name} is in ERROR`)
  return Math.ceil(count / serversOfRequest) * serversOfRequest
}

/** Quotas out of the way and a network of its own; what a server is made of. */
export async function prepareServers(admin: Session): Promise<Record<string, unknown>> {
  await call(admin, "PUT", `/compute/v2.1/os-quota-sets/${admin.projectId}`, {
    quota_set: { instances: -1, cores: -1, ram: -1 },
  })
  const { network } = await call<{ network: { id: string } }>(admin, "POST", "/network/v2.0/networks", {
    network: { name: "bench" },
  })
  await call(admin, "POST", "/network/v2.0/subnets", {
    subnet: { network_id: network.id, cidr: "10.77.0.0/16", ip_version: 4 },
  })
  const { images } = await call<{ images: { id: string }[] }>(admin, "GET", "/image/v2/images")
  const { flavors } = await call<{ flavors: { id: string; name: string }[] }>(
    admin,
    "GET",
    "/compute/v2.1/flavors",
  )
  const flavor = flavors.find((f) => f.name === "m1.nano")
  return { imageRef: images[0]?.id, flavorRef: flavor?.id, networks: [{ uuid: network.id }] }
}

/** `name`: of the figure; processor times as `readProcessorMsByName` gave them before and after. */
export function noteBoots(
  report: Report,
  name: string,
  count: number,
  took: { seconds: number; before: Map<string, number>; after: Map<string, number> },
): void {
  report.add(name, [
    { name: "", value: count / took.seconds, unit: "/s", target: 150 },
    ...["kumoi", "postgres"].map((process) => ({
      name: `cpu ${process}`,
      value: ((took.after.get(process) ?? 0) - (took.before.get(process) ?? 0)) / count,
      unit: "ms" as const,
    })),
  ])
}
