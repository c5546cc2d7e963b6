import type { Platform } from "../platform/context/context.ts"
import type { PolicyDefault } from "../platform/policy/policy.ts"
import type { Reconciler } from "./reconcile/reconciler.ts"
import type { Saga } from "./saga/saga.ts"

/** What a service gives to main.ts. Everything is declaration; `start` begins what must run beside requests. */
export interface Service {
  readonly name: string
  readonly policies: readonly PolicyDefault[]
  // biome-ignore lint/suspicious/noExplicitAny: a list of sagas with different parameters
  readonly sagas: readonly Saga<any>[]
  readonly reconcilers: readonly Reconciler[]
  /** First-start content (roles, flavors, networks …); must be repeatable. */
  readonly seed?: (platform: Platform) => Promise<void>
  /** Subscriptions and the like, in the roles worker and api. Disposed at the end. */
  readonly start?: (platform: Platform) => Promise<AsyncDisposable>
}
