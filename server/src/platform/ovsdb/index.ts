export { type OperationResult, OvsdbClient, type OvsdbClientOptions } from "./client.ts"
export { OvsdbError, OvsdbUnavailable } from "./errors.ts"
export { byUuid, type Columns, type Condition, type Mutation, type Operation } from "./operation.ts"
export type { MonitoredTables, RowChange } from "./replica.ts"
export {
  type Atom,
  type NamedRow,
  type Row,
  sameValue,
  type Value,
  type WriteAtom,
  type WriteValue,
} from "./value.ts"
