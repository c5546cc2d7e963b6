// Which physical networks hosts reach, as they said.
import { type RawBuilder, sql } from "kysely"
import type { Platform } from "../../platform/context/context.ts"
import type { BridgeMappings } from "../../platform/net/bridge-mappings.ts"

/** By host; those that did not say are not there. */
export async function selectBridgeMappings({
  db,
}: Pick<Platform, "db">): Promise<Map<string, BridgeMappings>> {
  const { rows } = await sql<{ host: string; mappings: BridgeMappings }>`
    select host, bridge_mappings as mappings from network.agent
    where binary_name = 'ovn-controller' and bridge_mappings is not null`.execute(db)
  return new Map(rows.map(({ host, mappings }) => [host, mappings]))
}

/** In SQL, of the host that is named: the physical networks that it reaches, as an array of texts; null: it did not say. */
export function physicalNetworksOfHost(host: RawBuilder<unknown>): RawBuilder<string[] | null> {
  return sql`(select case when a.bridge_mappings is not null
      then array(select jsonb_object_keys(a.bridge_mappings)) end
    from network.agent a where a.host = ${host} and a.binary_name = 'ovn-controller')::text[]`
}
