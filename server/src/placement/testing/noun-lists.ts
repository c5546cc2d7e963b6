import { createHash } from "node:crypto"
import { sql } from "kysely"
import { at, id, listsOf, type NounFixture, nobody, rows } from "../../../test/noun-lists/fixture.ts"
import { inventoryNoun } from "../inventory/inventory.ts"
import { providerNoun } from "../provider/provider.ts"
import { resourceClassNoun } from "../resource-class/resource-class.ts"
import { traitNoun } from "../trait/trait.ts"

/** The id of the provider with number 10, as the database makes it. */
const providerId = createHash("md5").update("provider10").digest("hex")

/** Hosts; each tenth is the top of a tree of ten. */
const root = id("provider", "g - (g - 1) % 10")

export const nounLists: readonly NounFixture[] = [
  listsOf(providerNoun, {
    admin: undefined,
    rows: [
      sql`insert into placement.resource_provider (id, name, root_id, parent_id, created_at)
        select ${id("provider")}, 'host-' || g, ${root}, case g % 10 when 1 then null else ${root} end, ${at}
        from ${rows} order by g`,
    ],
    values: { name: ["host-7", "nobody's"], inTree: [providerId] },
  }),
  listsOf(inventoryNoun, {
    admin: undefined,
    rows: [
      sql`insert into placement.inventory (provider_id, resource_class, total, reserved, min_unit, max_unit, step_size,
          allocation_ratio)
        select ${id("provider")}, class, 100, 0, 1, 100, 1, 1 from ${rows}, unnest(array['VCPU', 'MEMORY_MB']) class`,
    ],
    values: { resourceClass: ["VCPU", "NONE"] },
    within: { providerId: [providerId] },
  }),
  listsOf(traitNoun, {
    admin: undefined,
    rows: [
      sql`insert into placement.custom_trait (name) select 'CUSTOM_' || g from ${rows}`,
      sql`insert into placement.provider_trait (provider_id, trait)
        select ${id("provider")}, 'CUSTOM_' || g % 100 from ${rows}`,
    ],
    values: { name: ["CUSTOM_7", "NONE"], prefix: ["CUSTOM_77", "NONE"], isAssociated: ["true", "false"] },
    unindexed: { [nobody]: ["isAssociated"] },
  }),
  listsOf(resourceClassNoun, {
    admin: undefined,
    rows: [
      sql`insert into placement.custom_resource_class (name, created_at) select 'CUSTOM_' || g, ${at} from ${rows}`,
    ],
  }),
]
