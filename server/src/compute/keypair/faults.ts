import { fault } from "../../platform/fault/fault.ts"

export const keypairNotFound = fault(
  "not_found",
  "compute.keypair.not_found",
  (name: string, userId?: string) => `Keypair ${name} not found for user ${userId}.`,
)
export const keypairExists = fault(
  "conflict",
  "compute.keypair.exists",
  (name: string) => `Key pair '${name}' already exists.`,
)
export const keypairInvalid = fault(
  "invalid",
  "compute.keypair.invalid",
  (why: string) => `Keypair data is invalid: ${why}`,
)
