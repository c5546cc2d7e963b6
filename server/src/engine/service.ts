import type { Config } from "../platform/config/config.ts"
import type { Platform } from "../platform/context/context.ts"
import type { Api } from "../platform/http/wire.ts"
import type { PolicyDefault } from "../platform/policy/policy.ts"
import type { Quota } from "./quota.ts"
import type { Reconciler } from "./reconcile/reconciler.ts"
import type { Saga } from "./saga/saga.ts"

/** How the service catalog names a service: below the public URL, unless an operator says otherwise. */
export interface CatalogEntry {
  type: string
  name: string
  /** `/compute/v2.1`; may hold `$(project_id)s`. */
  path: string
}

/** A usual port of the service in clouds of one process a service (`up --classic-ports`), and what lies there. */
export interface ClassicPort {
  port: number
  mount: string
}

/**
 * Everything that a service is; `services.ts` has the list, and nothing else of the program names a service. All of it
 * is declaration; `start` and `work` begin what must run beside requests.
 */
export interface Service {
  /** `block_storage`: also its SQL schema, and the first word of its operations and faults. `folderOf` is its folder. */
  readonly name: string
  /** What clients talk to; `isServed` of an API may depend on the configuration. */
  readonly apis: readonly Api[]
  readonly catalog?: CatalogEntry
  readonly classicPorts?: readonly ClassicPort[]
  readonly policies: readonly PolicyDefault[]
  /** What projects have limits for here. */
  readonly quota?: Quota
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

/** The folder of a service, below server/src and server/schema: `block-storage`. */
export function folderOf({ name }: Pick<Service, "name">): string {
  return name.replaceAll("_", "-")
}

/** The APIs that are served by this configuration; all of them without one. */
export function apisOf(services: readonly Service[], config?: Config): Api[] {
  const all = services.flatMap((service) => [...service.apis])
  return config ? all.filter((api) => api.isServed?.(config) ?? true) : all
}
