// What a statement looked at, as PostgreSQL tells it.
import assert from "node:assert/strict"
import { type RawBuilder, sql } from "kysely"
import type { Db } from "../../src/platform/db/database.ts"

export interface Cost {
  /** Pages of 8 kB. */
  pages: number
  /** Rows of tables, those that a filter threw away too. */
  rows: number
  /** Tables that were read from end to end. */
  scans: string[]
}

interface PlanNode {
  "Node Type": string
  "Relation Name"?: string
  "Shared Hit Blocks"?: number
  "Shared Read Blocks"?: number
  "Actual Rows": number
  "Actual Loops": number
  "Rows Removed by Filter"?: number
  "Rows Removed by Index Recheck"?: number
  Plans?: PlanNode[]
}

export async function costOf(db: Db, statement: RawBuilder<unknown>): Promise<Cost> {
  const { rows } = await sql<{ "QUERY PLAN": [{ Plan: PlanNode }] }>`
    explain (analyze, buffers, format json) ${statement}`.execute(db)
  const plan = rows[0]?.["QUERY PLAN"][0].Plan
  assert.ok(plan)
  const cost: Cost = {
    pages: (plan["Shared Hit Blocks"] ?? 0) + (plan["Shared Read Blocks"] ?? 0),
    rows: 0,
    scans: [],
  }
  const walk = (node: PlanNode) => {
    const table = node["Relation Name"]
    if (table !== undefined) {
      const removed = (node["Rows Removed by Filter"] ?? 0) + (node["Rows Removed by Index Recheck"] ?? 0)
      cost.rows += (node["Actual Rows"] + removed) * node["Actual Loops"]
      if (node["Node Type"] === "Seq Scan" && node["Actual Loops"] > 0) cost.scans.push(table)
    }
    node.Plans?.forEach(walk)
  }
  walk(plan)
  return cost
}
