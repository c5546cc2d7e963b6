// Identity: who may do what where. Other services import from here only.
import type { Service } from "../engine/service.ts"
import type { Clock } from "../platform/clock/clock.ts"
import type { Config } from "../platform/config/config.ts"
import type { Platform } from "../platform/context/context.ts"
import type { Authenticate } from "../platform/http/server.ts"
import { listenForChanges } from "./change.ts"
import type {} from "./config.ts"
import { identityPolicies } from "./policy/index.ts"
import { type IdentityRuntime, openIdentityRuntime } from "./runtime.ts"
import { type IdentitySeed, seedIdentity } from "./seed.ts"
import type {} from "./tables.ts"
import { authenticatorFor } from "./token/validate.ts"

export type { LoginRequest, Named, ProjectRef, RequestedScope } from "./auth/request.ts"
export { identityConfig } from "./config.ts"
export { findProject, type KnownProject } from "./project/find.ts"
export type { ProjectRow } from "./project/store.ts"
export type { IdentityRuntime } from "./runtime.ts"
export type { CatalogSeed, IdentitySeed } from "./seed.ts"
export type { KnownToken } from "./token/cache.ts"
export { checkToken, issueTokenByLogin, revokeToken, validateToken } from "./token/operations.ts"
export { getOwnCatalog, hasOwnSystemScope, listOwnDomains, listOwnProjects } from "./token/own-scopes.ts"
export { timeText, tokenJson } from "./token/view.ts"

export interface IdentityOptions {
  config: Config
  clock: Clock
  /** For the connection that listens to the changes of other processes. */
  connectionString: string
  seed: IdentitySeed
}

export interface Identity {
  readonly service: Service
  /** Goes into `drivers.identity` of the platform. */
  readonly runtime: IdentityRuntime
  /** For the HTTP edge. */
  authenticatorFor(platform: Platform): Authenticate
}

export async function createIdentity(options: IdentityOptions): Promise<Identity> {
  const runtime = await openIdentityRuntime(options.config, options.clock)
  return {
    runtime,
    authenticatorFor,
    service: {
      name: "identity",
      policies: identityPolicies,
      sagas: [],
      reconcilers: [],
      seed: (platform) => seedIdentity(platform, options.seed),
      start: async (platform) => listenForChanges({ platform, connectionString: options.connectionString }),
    },
  }
}

/** Every API's 401 names where to log in: clients of any service read it. */
export function keystoneChallenge(publicUrl: string): Record<string, string> {
  return { "WWW-Authenticate": `Keystone uri="${publicUrl}/identity"` }
}
