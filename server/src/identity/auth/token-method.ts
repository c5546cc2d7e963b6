import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { forbiddenAction, notFound, unauthenticated } from "../faults.ts"
import { readToken } from "../token/validate.ts"
import type { Proof, RequestedScope } from "./request.ts"

/** A token buys another one of the same user, that ends no later; delegated ones buy nothing. */
export async function proveToken(ctx: Ctx, data: unknown, scope: RequestedScope): Promise<Proof> {
  const id = typeof data === "object" && data !== null && "id" in data ? data.id : undefined
  if (typeof id !== "string") throw invalid("auth.identity.token.id", "Expecting to find id in token.")
  const { token } = await readSubject(ctx, id)
  const { payload } = token
  if (token.trust) {
    throw forbiddenAction(
      "Using trust-scoped token to create another token. Create a new trust-scoped token instead",
    )
  }
  if (token.accessToken) {
    throw forbiddenAction(
      "Using OAuth-scoped token to create another token. Create a new OAuth-scoped token instead",
    )
  }
  if (token.isSystem && (scope.kind === "project" || scope.kind === "domain")) {
    throw forbiddenAction(
      "Using a system-scoped token to create a project-scoped or domain-scoped token is not allowed.",
    )
  }
  const credential = token.applicationCredential
  if (credential && scope.kind !== "default") {
    throw forbiddenAction("Using an application credential token to create a scoped token is not allowed.")
  }
  const { user } = token
  return {
    userId: user.id,
    epoch: payload.epoch,
    options: user.options,
    defaultProjectId: user.default_project_id,
    methods: payload.methods,
    expiresAtMsMost: payload.expiresAtMs,
    parentAuditId: payload.auditIds.at(-1) ?? "",
    ...(credential ? { applicationCredential: { id: credential.id, projectId: credential.project_id } } : {}),
  }
}

/** Keystone answers 404 for a token that is no good here, as for X-Subject-Token. */
export async function readSubject(ctx: Ctx, id: string, options: { graceMs?: number } = {}) {
  try {
    return await readToken(ctx, id, options)
  } catch (error) {
    if (unauthenticated.is(error)) throw notFound("token", "Failed to validate token")
    throw error
  }
}
