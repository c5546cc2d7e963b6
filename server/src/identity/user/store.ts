import { type Selectable, sql } from "kysely"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import type { ListSpec } from "../list.ts"
import type { UserTable } from "../tables.ts"

export interface UserRow extends Selectable<UserTable> {
  password_expires_at: Date | null
}

/** Users with the end of the password in force. */
const users = sql`(select u.*, (select p.expires_at from identity.password p where p.user_id = u.id
  order by p.id desc limit 1) as password_expires_at from identity."user" u) as known_user`

export const userList: ListSpec = {
  table: users,
  columns: { name: sql`name`, enabled: sql`is_enabled`, domain_id: sql`domain_id` },
  orderColumn: "name",
  isNameFolded: true,
}

export async function findUser(db: DbOrTx, id: string): Promise<UserRow | null> {
  const result = await sql<UserRow>`select * from ${users} where id = ${id}`.execute(db)
  return result.rows[0] ?? null
}

/** For a user that is to be changed: held until the transaction ends. */
export async function lockUser(tx: Tx, id: string): Promise<UserRow | null> {
  await tx.selectFrom("identity.user").select("id").where("id", "=", id).forUpdate().execute()
  return await findUser(tx, id)
}
