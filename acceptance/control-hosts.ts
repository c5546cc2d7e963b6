// What control hosts of one cloud have in common: the operator's PostgreSQL, directories, and what each says of all.
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { RunResult } from "./cloud.ts"
import { OperatorsPostgres } from "./postgres.ts"

export interface ShownHost {
  name: string
  state: string
  control: string | null
}

/** The command line on one of the hosts. */
export type Kumoi = (command: string, ...args: string[]) => Promise<RunResult>

export async function hostsBy(kumoi: Kumoi): Promise<ShownHost[]> {
  return (JSON.parse((await kumoi("host", "list", "--json")).stdout) as { cloudHosts: ShownHost[] })
    .cloudHosts
}

export class SharedGround implements AsyncDisposable {
  /** For the first control host; the others get it over the door. */
  readonly env: Record<string, string>
  readonly #postgres: OperatorsPostgres
  readonly #directory: string

  private constructor(postgres: OperatorsPostgres) {
    this.#postgres = postgres
    this.#directory = mkdtempSync(join(tmpdir(), "kumoi-acceptance-shared-"))
    this.env = {
      DATABASE_URL: postgres.url,
      KUMOI_IMAGE_STORE_DIR: join(this.#directory, "images"),
      KUMOI_BLOCK_STORAGE_BACKUP_DIRECTORY: join(this.#directory, "backups"),
    }
  }

  static async make(): Promise<SharedGround> {
    return new SharedGround(await OperatorsPostgres.start())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#postgres[Symbol.asyncDispose]()
    rmSync(this.#directory, { recursive: true, force: true })
  }
}
