// Clouds of tests end with this: what an operation did and nobody declared fails the test that saw it.
import assert from "node:assert/strict"
import { setWitness } from "../src/platform/http/witness.ts"
import { operationNotes } from "../src/platform/operation/notes.ts"
import { tellTruth } from "./witness.ts"

setWitness(tellTruth)

const advice = {
  undeclared_fault: "add the fault to the operation's `faults`",
  unnamed_operation: "name the operation in the route: `operation`, or `alsoAsks`",
  undeclared_status: "say it in the route: `status`",
  untold_query: "say it in the route: `told.query`",
  untold_answer: "say it in the route: `told.answer`",
}

export function assertNothingUndeclared(): void {
  const found = operationNotes().map(({ kind, operation, what }) => `${operation}: ${what} (${advice[kind]})`)
  assert.deepEqual(found, [])
}
