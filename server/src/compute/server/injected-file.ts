// Nova's `personality`, until 2.56: files that the request for a machine gives to its guest. They are the machine's and
// not the server's: a rebuild brings others or none.
import { sql } from "kysely"
import { type Static, Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { holdQuota, roomOf } from "../../quota/index.ts"
import { badRequest, injectedContentTooLong, injectedFilesTooMany, injectedPathTooLong } from "../faults.ts"
import { computeQuota } from "../quota/resources.ts"

/** `contents` is base64. */
export const InjectedFile = Type.Object({ path: Type.String(), contents: Type.String() })
export type InjectedFile = Static<typeof InjectedFile>

export const injectedFileFaults = [injectedFilesTooMany, injectedPathTooLong, injectedContentTooLong]

export function checkContents(files: readonly InjectedFile[]): void {
  for (const { path, contents } of files) {
    const text = contents.replaceAll(/\s/g, "")
    if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text))
      throw badRequest(
        `Invalid input for field/attribute contents. The contents of '${path}' are not a 'base64'`,
      )
  }
}

/** Throws what is over a limit. As Nova counts: characters of a path, and of the base64 text. */
export async function checkInjectedFiles(
  ctx: Ctx,
  tx: Tx,
  owner: { projectId: string; userId: string },
  files: readonly InjectedFile[],
): Promise<void> {
  if (files.length === 0) return
  const resources = ["injected_files", "injected_file_path_bytes", "injected_file_content_bytes"] as const
  const held = await holdQuota(ctx, tx, computeQuota, owner, resources)
  if (files.length > roomOf(held, "injected_files")) throw injectedFilesTooMany()
  const pathMost = roomOf(held, "injected_file_path_bytes")
  if (files.some(({ path }) => path.length > pathMost)) throw injectedPathTooLong(pathMost)
  const contentMost = roomOf(held, "injected_file_content_bytes")
  if (files.some(({ contents }) => contents.length > contentMost)) throw injectedContentTooLong(contentMost)
}

/** For machines that are made now, in the transaction that begins it; each of them gets all files. */
export async function keepInjectedFiles(
  tx: Tx,
  serverIds: readonly string[],
  files: readonly InjectedFile[],
): Promise<void> {
  if (files.length === 0) return
  const [paths, contents] = [files.map((file) => file.path), files.map((file) => file.contents)]
  await sql`insert into compute.injected_file (server_id, position, path, contents)
    select server_id, position - 1, path, contents
    from unnest(${serverIds}::uuid[]) server_id,
      unnest(${paths}::text[], ${contents}::text[]) with ordinality file (path, contents, position)`.execute(
    tx,
  )
}

export async function dropInjectedFiles(tx: Tx, serverId: string): Promise<void> {
  await tx.deleteFrom("compute.injected_file").where("server_id", "=", serverId).execute()
}

export async function readInjectedFiles(db: DbOrTx, serverId: string): Promise<InjectedFile[]> {
  return await db
    .selectFrom("compute.injected_file")
    .select(["path", "contents"])
    .where("server_id", "=", serverId)
    .orderBy("position")
    .execute()
}
