import type { Platform } from "../../platform/context/context.ts"
import { newUuid } from "../../platform/ids/ids.ts"

/** The sizes that every OpenStack user knows, with smaller ones for small machines and tests. */
const sizes = [
  { flavorId: "42", name: "m1.nano", vcpus: 1, ramMib: 128, diskGib: 1 },
  { flavorId: "84", name: "m1.micro", vcpus: 1, ramMib: 192, diskGib: 1 },
  { flavorId: "1", name: "m1.tiny", vcpus: 1, ramMib: 512, diskGib: 1 },
  { flavorId: "2", name: "m1.small", vcpus: 1, ramMib: 2_048, diskGib: 20 },
  { flavorId: "3", name: "m1.medium", vcpus: 2, ramMib: 4_096, diskGib: 40 },
  { flavorId: "4", name: "m1.large", vcpus: 4, ramMib: 8_192, diskGib: 80 },
  { flavorId: "5", name: "m1.xlarge", vcpus: 8, ramMib: 16_384, diskGib: 160 },
] as const

/** Only into an empty table: a flavor that an operator deleted stays away. */
export async function seedFlavors(platform: Platform): Promise<void> {
  const any = await platform.db.selectFrom("compute.flavor").select("id").limit(1).executeTakeFirst()
  if (any) return
  await platform.db
    .insertInto("compute.flavor")
    .values(
      sizes.map((s) => ({
        id: newUuid(),
        flavor_id: s.flavorId,
        name: s.name,
        description: null,
        vcpus: s.vcpus,
        ram_mib: s.ramMib,
        disk_gib: s.diskGib,
        created_at: platform.clock.now(),
        updated_at: null,
      })),
    )
    .onConflict((oc) => oc.doNothing())
    .execute()
}
