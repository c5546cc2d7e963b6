// Our rows of the northbound database by their keys, kept up with the replica, so that a small change need not look
// at all of them.
import type { Row, RowChange } from "../../../platform/ovsdb/index.ts"
import { type HaveRows, ownId } from "./plan.ts"
import { type TableName, tableNames } from "./row.ts"

export class HaveIndex {
  readonly #cloudId: string
  readonly #rows = new Map<string, Map<string, Row>>()
  readonly #ours = new Set<string>()

  constructor(have: HaveRows, cloudId: string) {
    this.#cloudId = cloudId
    for (const table of tableNames) {
      this.#rows.set(table, new Map())
      for (const row of have[table].values()) this.#add(table, row)
    }
  }

  get(table: TableName, id: string): Row | undefined {
    return this.#rows.get(table)?.get(id)
  }

  all(table: TableName): Iterable<[id: string, row: Row]> {
    return this.#rows.get(table) ?? []
  }

  /** By uuid. */
  get ours(): ReadonlySet<string> {
    return this.#ours
  }

  apply(changes: readonly RowChange[]): void {
    for (const { table, before, after } of changes) {
      if (before) this.#remove(table, before)
      if (after) this.#add(table, after)
    }
  }

  #add(table: string, row: Row): void {
    const id = ownId(row, this.#cloudId)
    if (id === undefined) return
    this.#ours.add(row._uuid)
    this.#rows.get(table)?.set(id, row)
  }

  #remove(table: string, row: Row): void {
    const id = ownId(row, this.#cloudId)
    this.#ours.delete(row._uuid)
    const rows = this.#rows.get(table)
    if (id !== undefined && rows?.get(id)?._uuid === row._uuid) rows.delete(id)
  }
}
