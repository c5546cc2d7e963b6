import assert from "node:assert/strict"
import { test } from "node:test"
import { sql } from "kysely"
import { openTestDatabase } from "../../test/database.ts"
import { testPlatform } from "../engine/testing/platform.ts"
import "./config.ts"
import { pruneIdentity } from "./prune.reconciler.ts"

test("trusts and OAuth tokens whose end is long past go; others stay", async () => {
  await using database = await openTestDatabase()
  const { db } = database
  await sql`
    with domain as (
      insert into identity.project (id, name, is_domain) values ('d', 'd', true) returning id
    ), project as (
      insert into identity.project (id, name, domain_id, parent_id, is_domain)
      select 'p', 'p', id, id, false from domain returning id
    )
    insert into identity."user" (id, name, domain_id) select u, u, 'd' from unnest(array['a', 'b']) u, project`.execute(
    db,
  )
  const [long, lately, later] = [
    sql`now() - interval '91 days'`,
    sql`now() - interval '89 days'`,
    sql`now() + interval '1 day'`,
  ]
  const trust = async (id: string, deleted: unknown, expires: unknown, of: string | null = null) =>
    await sql`insert into identity.trust
        (id, trustor_user_id, trustee_user_id, is_impersonation, deleted_at, expires_at, redelegated_trust_id)
      values (${id}, 'a', 'b', false, ${deleted}, ${expires}, ${of})`.execute(db)
  await trust("deleted long ago", long, later)
  await trust("passed on from it", null, null, "deleted long ago")
  await trust("expired long ago", null, long)
  await trust("deleted lately", lately, null)
  await trust("expired lately", null, lately)
  await trust("for ever", null, null)
  await sql`insert into identity.oauth_consumer (id, secret) values ('c', 's')`.execute(db)
  for (const [id, expires] of [
    ["long", long],
    ["lately", lately],
    ["later", later],
    ["never", null],
  ] as const) {
    await sql`insert into identity.oauth_request_token (id, consumer_id, secret, project_id, expires_at)
      values (${id}, 'c', 's', 'p', ${expires})`.execute(db)
    await sql`insert into identity.oauth_access_token
        (id, consumer_id, secret, authorizing_user_id, project_id, role_ids, expires_at)
      values (${id}, 'c', 's', 'a', 'p', '{}', ${expires})`.execute(db)
  }
  const platform = testPlatform(db)
  const never = new AbortController().signal
  assert.deepEqual(await pruneIdentity(platform, never), { removed: 4 })
  const left = async (table: string) =>
    (await sql<{ id: string }>`select id from ${sql.table(table)} order by id`.execute(db)).rows.map(
      (r) => r.id,
    )
  assert.deepEqual(await left("identity.trust"), ["deleted lately", "expired lately", "for ever"])
  for (const table of ["identity.oauth_request_token", "identity.oauth_access_token"])
    assert.deepEqual(await left(table), ["lately", "later", "never"])
  assert.deepEqual(await pruneIdentity(platform, never), { removed: 0 })
})
