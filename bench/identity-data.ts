// Many users, projects and assignments, put straight into the cloud's database: through the API it would take minutes,
// and how they came there is not what is measured.
import { openCloudDir } from "../server/src/launch/cloud-dir.ts"
import { postgresUrl } from "../server/src/launch/engines/postgres.ts"
import { openDatabase } from "../server/src/platform/db/database.ts"
import type { BenchCloud } from "./cloud.ts"
import type { Held } from "./held.ts"

export const userCount = 1_000
export const projectCount = 100

export const userName = (i: number) => `bench-user-${i}`
export const userId = (i: number) => `benchuser${i}`
export const projectId = (i: number) => `benchproject${i}`

/** One connection to the cloud's PostgreSQL. */
export type Statements = ReturnType<typeof openDatabase>["pool"]

export function openStatements(held: Held, cloud: BenchCloud): Statements {
  const { postgresSocketDir } = openCloudDir(cloud.dataDir, { canPostgresReach: () => true })
  const { pool } = openDatabase({ connectionString: postgresUrl(postgresSocketDir), poolMax: 1 })
  held.defer(() => pool.end())
  return pool
}

/** Every user is a member of every project and has the password of `demo`. */
export async function fillIdentity(statements: Statements): Promise<void> {
  await statements.query(
    `
    insert into identity.project (id, name, domain_id, parent_id)
    select 'benchproject' || i, 'bench-project-' || i, 'default', 'default' from generate_series(0, $1::int - 1) i`,
    [projectCount],
  )
  await statements.query(
    `
    insert into identity."user" (id, name, domain_id)
    select 'benchuser' || i, 'bench-user-' || i, 'default' from generate_series(0, $1::int - 1) i`,
    [userCount],
  )
  await statements.query(`
    insert into identity.password (user_id, hash)
    select b.id, p.hash from identity."user" b, identity."user" d join identity.password p on p.user_id = d.id
    where b.id like 'benchuser%' and d.name = 'demo' and d.domain_id = 'default'`)
  await statements.query(`
    insert into identity.assignment (user_id, target_kind, target_id, role_id)
    select u.id, 'project', p.id, r.id from identity."user" u, identity.project p, identity.role r
    where u.id like 'benchuser%' and p.id like 'benchproject%' and r.name = 'member' and r.domain_id is null`)
  // PostgreSQL does this by itself within half a minute.
  await statements.query("analyze")
}

export const wideUserId = "benchwide"
export const wideProjectCount = 2_000
export const wideProjectId = (i: number) => `benchwide${i}`

/** One who has five roles on each of 2,000 projects of his own: what many assignments of one user cost that user. */
export async function addWideUser(statements: Statements): Promise<void> {
  await statements.query(
    `insert into identity."user" (id, name, domain_id) values ('benchwide', 'benchwide', 'default')`,
  )
  await statements.query(
    `insert into identity.project (id, name, domain_id, parent_id)
     select 'benchwide' || i, 'bench-wide-' || i, 'default', 'default' from generate_series(0, $1::int - 1) i`,
    [wideProjectCount],
  )
  await statements.query(`
    insert into identity.assignment (user_id, target_kind, target_id, role_id)
    select 'benchwide', 'project', p.id, r.id from identity.project p, identity.role r
    where p.id like 'benchwide%' and r.domain_id is null and r.name in
      ('admin', 'manager', 'member', 'reader', 'service')`)
  await statements.query("analyze")
}

/** Process of the connection. */
export async function readBackendPid(statements: Statements): Promise<number> {
  const { rows } = await statements.query<{ pid: number }>("select pg_backend_pid() as pid")
  return rows[0]?.pid ?? 0
}

/** The cost that the cloud gives its password hashes. */
export async function readHashCost(statements: Statements): Promise<{ ln: number; r: number; p: number }> {
  const { rows } = await statements.query<{ hash: string }>("select hash from identity.password limit 1")
  const match = /^\$scrypt\$ln=(\d+),r=(\d+),p=(\d+)\$/.exec(rows[0]?.hash ?? "")
  if (!match) throw new Error("the cloud's password hashes are not scrypt")
  return { ln: Number(match[1]), r: Number(match[2]), p: Number(match[3]) }
}
