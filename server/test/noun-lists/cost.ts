// What a statement looked at, as PostgreSQL tells it.
import assert from "node:assert/strict"
import { type RawBuilder, sql } from "kysely"
import type { Db } from "../../src/platform/db/database.ts"

export interface Cost {
  /** Pages of 8 kB. */
  pages: number
  /** Rows of tables, those that a filter threw away too. */
  rows: number
  /** Tables and indexes that were read from end to end. */
  scans: string[]
}

interface PlanNode {
  "Node Type": string
  "Relation Name"?: string
  "Index Name"?: string
  "Shared Hit Blocks"?: number
  "Shared Read Blocks"?: number
  "Actual Rows": number
  "Actual Loops": number
  "Rows Removed by Filter"?: number
  "Rows Removed by Index Recheck"?: number
  Plans?: PlanNode[]
}

/** Pages with which an index finds what it is asked for, and the row: more are the index itself, read through. */
const oneLookMax = 100
const rowMax = 5

export async function costOf(db: Db, statement: RawBuilder<unknown>): Promise<Cost> {
  const { rows } = await sql<{ "QUERY PLAN": [{ Plan: PlanNode }] }>`
    explain (analyze, buffers, format json) ${statement}`.execute(db)
  const plan = rows[0]?.["QUERY PLAN"][0].Plan
  assert.ok(plan)
  const cost: Cost = {
    pages: pagesOf(plan),
    rows: 0,
    scans: [],
  }
  const walk = (node: PlanNode) => {
    const { "Relation Name": table, "Index Name": index, "Actual Loops": loops } = node
    const removed = (node["Rows Removed by Filter"] ?? 0) + (node["Rows Removed by Index Recheck"] ?? 0)
    const rows = node["Actual Rows"] + removed
    if (table !== undefined) {
      cost.rows += rows * loops
      if (node["Node Type"] === "Seq Scan" && loops > 0) cost.scans.push(table)
    }
    if (index !== undefined && pagesOf(node) > loops * (oneLookMax + rows * rowMax)) cost.scans.push(index)
    node.Plans?.forEach(walk)
  }
  walk(plan)
  return cost
}

/** Its own and those of what is below it. */
function pagesOf(node: PlanNode): number {
  return (node["Shared Hit Blocks"] ?? 0) + (node["Shared Read Blocks"] ?? 0)
}
