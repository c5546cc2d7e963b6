// For databases that are handed to code whose writes must be asserted: outside a transaction it only reads.
import type { KyselyPlugin, RootOperationNode } from "kysely"

const writes =
  /^\s*(?:insert|update|delete|merge)\b|^\s*with\b[\s\S]*\b(?:insert\s+into|update|delete\s+from)\b/i

function isWrite(node: RootOperationNode): boolean {
  switch (node.kind) {
    case "InsertQueryNode":
    case "UpdateQueryNode":
    case "DeleteQueryNode":
    case "MergeQueryNode":
      return true
    case "RawNode":
      return writes.test(node.sqlFragments.join(" "))
    default:
      return false
  }
}

export const transactionalWrites: KyselyPlugin = {
  transformQuery({ node }) {
    if (isWrite(node)) throw new Error("this database is written in transactions only: use transact()")
    return node
  },
  transformResult: async ({ result }) => result,
}
