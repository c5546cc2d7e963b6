// What is told about groups of volumes, their types and their snapshots. Cinder answers 400 to what a state forbids.
import { fault } from "../../platform/fault/fault.ts"

export const groupTypeNotFound = fault(
  "not_found",
  "block_storage.group_type.not_found",
  (id: string) => `Group type ${id} could not be found.`,
)
export const groupTypeExists = fault(
  "conflict",
  "block_storage.group_type.exists",
  (name: string) => `Group Type ${name} already exists.`,
)
export const groupTypeInUse = fault(
  "invalid",
  "block_storage.group_type.in_use",
  (id: string) => `Target group type is still in use: there are groups of type ${id}.`,
)
export const groupTypeInvalid = fault(
  "invalid",
  "block_storage.group_type.invalid",
  (reason: string) => `Invalid group type: ${reason}`,
)
export const groupSpecNotFound = fault(
  "not_found",
  "block_storage.group_type.spec_not_found",
  (typeId: string, key: string) => `Group Type ${typeId} has no specs with key ${key}.`,
)
export const groupNotFound = fault(
  "not_found",
  "block_storage.group.not_found",
  (id: string) => `Group ${id} could not be found.`,
)
export const groupInvalid = fault(
  "invalid",
  "block_storage.group.invalid",
  (reason: string) => `Invalid Group: ${reason}`,
)
/** Another task took the group while this one worked: it stops and touches nothing. */
export const groupSuperseded = fault(
  "conflict",
  "block_storage.group.superseded",
  (id: string) => `Group ${id} was changed by a later request.`,
)
export const groupSnapshotNotFound = fault(
  "not_found",
  "block_storage.group_snapshot.not_found",
  (id: string) => `GroupSnapshot ${id} could not be found.`,
)
export const groupSnapshotInvalid = fault(
  "invalid",
  "block_storage.group_snapshot.invalid",
  (reason: string) => `Invalid GroupSnapshot: ${reason}`,
)
export const groupSnapshotSuperseded = fault(
  "conflict",
  "block_storage.group_snapshot.superseded",
  (id: string) => `Group snapshot ${id} was changed by a later request.`,
)
