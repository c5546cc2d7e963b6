// The function that decides which roles somebody has, against its first definition: a slow one, and plainly right.
import assert from "node:assert/strict"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { test } from "node:test"
import { sql } from "kysely"
import { openTestDatabase } from "../../../test/database.ts"

const schemaDir = join(import.meta.dirname, "../../../schema/identity")

/** The definition of the first migration under the name `effective_role_at_first`. */
async function firstDefinition(): Promise<string> {
  const text = await readFile(join(schemaDir, "0001_identity.sql"), "utf8")
  const found = /create function identity\.effective_role\([\s\S]*?end \$\$;/.exec(text)
  assert.ok(found)
  return found[0].replace("identity.effective_role(", "identity.effective_role_at_first(")
}

/** Two domains with trees of projects, users, groups, roles that imply, and assignments of every sort at random. */
const world = sql`
  select setseed(0.42);
  insert into identity.project (id, name, is_domain) select 'd' || d, 'd' || d, true from generate_series(0, 1) d;
  insert into identity.project (id, name, domain_id, parent_id)
    select 'p' || n, 'p' || n, 'd' || n % 2, 'd' || n % 2 from generate_series(0, 3) n;
  insert into identity.project (id, name, domain_id, parent_id)
    select 'p' || n, 'p' || n, 'd' || n % 2, 'p' || n % 4 from generate_series(4, 11) n;
  insert into identity.project (id, name, domain_id, parent_id)
    select 'p' || n, 'p' || n, 'd' || n % 2, 'p' || 4 + n % 8 from generate_series(12, 27) n;
  insert into identity."user" (id, name, domain_id)
    select 'u' || n, 'u' || n, 'd' || n % 2 from generate_series(0, 14) n;
  insert into identity."group" (id, name, domain_id)
    select 'g' || n, 'g' || n, 'd' || n % 2 from generate_series(0, 5) n;
  insert into identity.group_member (user_id, group_id)
    select 'u' || u, 'g' || g from generate_series(0, 14) u, generate_series(0, 5) g where random() < 0.2;
  insert into identity.role (id, name, domain_id)
    select 'r' || n, 'r' || n, case when n < 2 then 'd' || n end from generate_series(0, 9) n;
  insert into identity.implied_role (prior_role_id, implied_role_id)
    select 'r' || a, 'r' || b from generate_series(0, 9) a, generate_series(0, 9) b
    where a <> b and b >= 2 and random() < 0.12;
  insert into identity.assignment (user_id, group_id, target_kind, target_id, role_id, is_inherited)
    select case when is_group then null else 'u' || floor(random() * 15) end,
      case when is_group then 'g' || floor(random() * 6) end,
      kind,
      case kind when 'project' then 'p' || floor(random() * 28) when 'domain' then 'd' || floor(random() * 2) end,
      'r' || floor(random() * 10), random() < 0.5
    from (select random() < 0.4 as is_group,
        (array['project', 'project', 'domain', 'system'])[1 + floor(random() * 4)] as kind
      from generate_series(1, 260)) asked
    on conflict do nothing`

test("roles by groups, inheritance, implication and scope are those of the first definition", async () => {
  await using database = await openTestDatabase()
  const client = await database.pool.connect()
  try {
    await client.query(await firstDefinition())
    await client.query(world.compile(database.db).sql)
    const { rows } = await client.query(`
      with scope (kind, id) as (
        select 'project', id from identity.project where not is_domain
        union all select 'domain', id from identity.project where is_domain
        union all select 'system', null
        union all select 'project', 'nowhere'
      ),
      answer as (
        select u.id as user_id, s.kind, s.id,
          array(select role_id from identity.effective_role(u.id, s.kind, s.id) order by 1) as now,
          array(select role_id from identity.effective_role_at_first(u.id, s.kind, s.id) order by 1) as first
        from identity."user" u cross join scope s
      )
      select count(*)::int as asked, (count(*) filter (where cardinality(first) > 0))::int as held,
        (count(distinct kind) filter (where cardinality(first) > 0))::int as kinds,
        coalesce(jsonb_agg(answer) filter (where now <> first), '[]') as different from answer`)
    const [found] = rows
    assert.deepEqual(found.different, [])
    assert.equal(found.asked, 15 * 32)
    // The world is one in which most things happen.
    assert.equal(found.kinds, 3)
    assert.ok(found.held > 100, `${found.held} of ${found.asked} hold roles`)
  } finally {
    client.release()
  }
})
