// Clouds of tests end with this: what an operation did and nobody declared fails the test that saw it.
import assert from "node:assert/strict"
import { operationNotes } from "../src/platform/operation/notes.ts"

const advice = {
  undeclared_fault: "add the fault to the operation's `faults`",
  unnamed_operation: "name the operation in the route: `operation`, or `alsoAsks`",
  undeclared_status: "say it in the route: `status`",
}

export function assertNothingUndeclared(): void {
  const found = operationNotes().map(({ kind, operation, what }) => `${operation}: ${what} (${advice[kind]})`)
  assert.deepEqual(found, [])
}
