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
  /** In every process, before it answers requests: what requests need to know. Disposed at the end. */
  readonly start?: (platform: Platform) => Promise<AsyncDisposable | undefined>
  /** In the process that works, after `start`: subscriptions, followers, recovery. Disposed before `start`'s. */
  readonly work?: (platform: Platform) => Promise<AsyncDisposable | undefined>
}
