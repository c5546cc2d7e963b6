// First-start content. Every step is "ensure": it runs at each start, adds what is missing, and leaves alone what an
// administrator changed. Addresses of the catalog follow the configuration until an administrator gives another one.
import { sql } from "kysely"
import type { CatalogEntry } from "../engine/service.ts"
import type { Platform } from "../platform/context/context.ts"
import { jsonb, type Tx } from "../platform/db/database.ts"
import { newHexId } from "../platform/ids/ids.ts"
import { changeIdentity } from "./change.ts"
import { isNamed } from "./names.ts"
import type { Interface } from "./tables.ts"

export interface IdentitySeed {
  passwords: { admin: string; demo: string }
  catalog: readonly CatalogEntry[]
}

const roleNames = ["admin", "manager", "member", "reader", "service"] as const
const implications = [
  ["admin", "manager"],
  ["manager", "member"],
  ["member", "reader"],
] as const
const interfaces: readonly Interface[] = ["public", "internal", "admin"]

export async function seedIdentity(platform: Platform): Promise<void> {
  const { seed } = platform.drivers.identity
  if (!seed) return
  const hashes = await missingHashes(platform, seed)
  await changeIdentity(platform, async (tx) => {
    // Processes that start together do it one after the other.
    await sql`select pg_advisory_xact_lock(hashtextextended('identity.seed', 0))`.execute(tx)
    await ensureDomain(tx)
    const roles = await ensureRoles(tx)
    const admin = await ensureProject(tx, "admin", "Administration of the cloud")
    const demo = await ensureProject(tx, "demo", "A first tenant")
    await ensureProject(tx, "service", "Users of the cloud's own services")
    const adminUser = await ensureUser(tx, { name: "admin", projectId: admin, hash: hashes.get("admin") })
    const demoUser = await ensureUser(tx, { name: "demo", projectId: demo, hash: hashes.get("demo") })
    await grant(tx, adminUser, roles.admin, "project", admin)
    await grant(tx, adminUser, roles.admin, "project", demo)
    await grant(tx, adminUser, roles.admin, "domain", "default")
    await grant(tx, adminUser, roles.admin, "system", null)
    await grant(tx, demoUser, roles.member, "project", demo)
    await ensureRegion(tx, platform.config.region)
    for (const entry of seed.catalog) await ensureService(tx, platform, entry)
  })
}

/** Hashes take long, so they are made before the transaction, and only for users that are not there. */
async function missingHashes(platform: Platform, seed: IdentitySeed): Promise<Map<string, string>> {
  const hashes = new Map<string, string>()
  for (const [name, password] of Object.entries(seed.passwords)) {
    const user = await platform.db
      .selectFrom("identity.user")
      .select("id")
      .where("domain_id", "=", "default")
      .where(isNamed("name", name))
      .executeTakeFirst()
    if (!user) hashes.set(name, await platform.drivers.identity.hasher.hash(password))
  }
  return hashes
}

async function ensureDomain(tx: Tx): Promise<void> {
  await tx
    .insertInto("identity.project")
    .values({
      id: "default",
      name: "Default",
      is_domain: true,
      domain_id: null,
      parent_id: null,
      description: "The default domain",
    })
    .onConflict((oc) => oc.doNothing())
    .execute()
}

async function ensureRoles(tx: Tx): Promise<Record<(typeof roleNames)[number], string>> {
  for (const name of roleNames) {
    await tx
      .insertInto("identity.role")
      .values({
        id: newHexId(),
        name,
        domain_id: null,
        description: null,
        options: jsonb({ immutable: true }),
      })
      .onConflict((oc) => oc.doNothing())
      .execute()
  }
  const rows = await tx
    .selectFrom("identity.role")
    .select(["id", "name"])
    .where("domain_id", "is", null)
    .where(sql<boolean>`lower(name) = any(${[...roleNames]}::text[])`)
    .execute()
  const idOf = (name: string) => {
    const row = rows.find((r) => r.name.toLowerCase() === name)
    if (!row) throw new Error(`role ${name} was not made`)
    return row.id
  }
  const ids = {
    admin: idOf("admin"),
    manager: idOf("manager"),
    member: idOf("member"),
    reader: idOf("reader"),
    service: idOf("service"),
  }
  for (const [prior, implied] of implications) {
    await tx
      .insertInto("identity.implied_role")
      .values({ prior_role_id: ids[prior], implied_role_id: ids[implied] })
      .onConflict((oc) => oc.doNothing())
      .execute()
  }
  return ids
}

async function ensureProject(tx: Tx, name: string, description: string): Promise<string> {
  const found = await tx
    .selectFrom("identity.project")
    .select("id")
    .where("domain_id", "=", "default")
    .where(isNamed("name", name))
    .executeTakeFirst()
  if (found) return found.id
  const id = newHexId()
  await tx
    .insertInto("identity.project")
    .values({ id, name, description, domain_id: "default", parent_id: "default" })
    .execute()
  return id
}

async function ensureUser(
  tx: Tx,
  user: { name: string; projectId: string; hash: string | undefined },
): Promise<string> {
  const found = await tx
    .selectFrom("identity.user")
    .select("id")
    .where("domain_id", "=", "default")
    .where(isNamed("name", user.name))
    .executeTakeFirst()
  if (found) return found.id
  const id = newHexId()
  await tx
    .insertInto("identity.user")
    .values({ id, name: user.name, domain_id: "default", default_project_id: user.projectId })
    .execute()
  // Chosen by nobody to be changed: an administrator's password that must be changed would lock all out.
  if (user.hash) {
    await tx
      .insertInto("identity.password")
      .values({ user_id: id, hash: user.hash, is_self_service: true })
      .execute()
  }
  return id
}

async function grant(
  tx: Tx,
  userId: string,
  roleId: string,
  kind: "project" | "domain" | "system",
  targetId: string | null,
): Promise<void> {
  await tx
    .insertInto("identity.assignment")
    .values({ user_id: userId, group_id: null, target_kind: kind, target_id: targetId, role_id: roleId })
    .onConflict((oc) => oc.doNothing())
    .execute()
}

async function ensureRegion(tx: Tx, id: string): Promise<void> {
  await tx
    .insertInto("identity.region")
    .values({ id, parent_region_id: null })
    .onConflict((oc) => oc.doNothing())
    .execute()
}

async function ensureService(tx: Tx, platform: Platform, entry: CatalogEntry): Promise<void> {
  const { region, publicUrl, http } = platform.config
  const found = await tx
    .selectFrom("identity.service")
    .select("id")
    .where("type", "=", entry.type)
    .where("name", "=", entry.name)
    .executeTakeFirst()
  const serviceId = found?.id ?? newHexId()
  if (!found) {
    await tx
      .insertInto("identity.service")
      .values({ id: serviceId, type: entry.type, name: entry.name, description: null })
      .execute()
  }
  const url = http.serviceUrls[entry.type] ?? `${publicUrl}${entry.path}`
  for (const kind of interfaces) await ensureEndpoint(tx, { serviceId, region, kind, url })
}

async function ensureEndpoint(
  tx: Tx,
  { serviceId, region, kind, url }: { serviceId: string; region: string; kind: Interface; url: string },
): Promise<void> {
  const found = await tx
    .selectFrom("identity.endpoint")
    .select(["id", "url", "seeded_url"])
    .where("service_id", "=", serviceId)
    .where("region_id", "=", region)
    .where("interface", "=", kind)
    .execute()
  // What nobody has changed since we wrote it is still ours.
  const own = found.find((row) => row.seeded_url === row.url)
  if (own) {
    if (own.url === url) return
    await tx.updateTable("identity.endpoint").set({ url, seeded_url: url }).where("id", "=", own.id).execute()
  } else if (found.length === 0) {
    const place = { service_id: serviceId, region_id: region, interface: kind, name: null }
    await tx
      .insertInto("identity.endpoint")
      .values({ id: newHexId(), ...place, url, seeded_url: url })
      .execute()
  }
}
