// What happened, for whoever listens (metering, audit): in the same transaction as the change itself.
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"

export type NotifiedNoun =
  | "network"
  | "subnet"
  | "port"
  | "router"
  | "router.interface"
  | "floatingip"
  | "port_forwarding"
  | "security_group"
  | "security_group_rule"

export interface NotifiedThing {
  id: string
  projectId: string
}

/** Names that are more than the key with underscores. */
const wireNames: Readonly<Record<string, string>> = {
  projectId: "tenant_id",
  routerExternal: "router:external",
  providerNetworkType: "provider:network_type",
  providerPhysicalNetwork: "provider:physical_network",
  providerSegmentationId: "provider:segmentation_id",
  bindingHostId: "binding:host_id",
  bindingVnicType: "binding:vnic_type",
  bindingProfile: "binding:profile",
}

function wireName(key: string): string {
  return wireNames[key] ?? key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

function asPayload(value: unknown): unknown {
  if (value instanceof Date) return value.toISOString()
  if (Array.isArray(value)) return value.map(asPayload)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [wireName(key), asPayload(inner)]))
}

/** `network.create.end` and its like, with the thing as it is (was, when deleted). */
export async function notify(
  ctx: Ctx,
  tx: Tx,
  noun: NotifiedNoun,
  verb: "create" | "update" | "delete",
  things: readonly NotifiedThing[],
): Promise<void> {
  const word = noun.replace(".", "_")
  for (const thing of things) {
    await ctx.outbox.append(tx, {
      type: `${noun}.${verb}.end`,
      publisher: `network.${ctx.config.host}`,
      projectId: thing.projectId,
      userId: ctx.caller.userId,
      requestId: ctx.requestId,
      resourceId: thing.id,
      payload: { [word]: asPayload(thing), [`${word}_id`]: thing.id },
    })
  }
}
