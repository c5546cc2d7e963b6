// What a token may not do because its user gave it away: to a trustee, or to a program (application credential, OAuth).
import type { Caller } from "../platform/auth/caller.ts"
import { forbidden, forbiddenAction } from "./faults.ts"

/** A restricted application credential makes nothing that lives on without it. */
export function refuseRestricted(caller: Caller, what: string): void {
  if (caller.token?.isRestricted) {
    throw forbiddenAction(`Using method 'application_credential' is not allowed for managing ${what}.`)
  }
}

export function refuseTrustToken(caller: Caller): void {
  if (caller.token?.trustId || caller.token?.accessTokenId)
    throw forbidden("Cannot manage application credentials with a token issued via delegation.")
}

export function refuseApplicationCredential(caller: Caller): void {
  if (caller.token?.applicationCredentialId)
    throw forbiddenAction("Using method 'application_credential' is not allowed for managing trusts.")
  if (caller.token?.accessTokenId)
    throw forbiddenAction("Using method 'oauth1' is not allowed for managing trusts.")
}

export function isDelegated(caller: Caller): boolean {
  const { token } = caller
  return Boolean(token?.trustId || token?.applicationCredentialId || token?.accessTokenId)
}

/** A delegated token reaches the secrets of its own project only, and never those of the user alone. */
export function reachesProject(caller: Caller, projectId: string | null): boolean {
  return !isDelegated(caller) || projectId === caller.projectId
}

export function refuseOtherProject(caller: Caller, projectId: string | null): void {
  if (!reachesProject(caller, projectId)) {
    throw forbiddenAction("Credential project does not match the project scope of the delegated token")
  }
}
