// Tests look at what handlers read and answer. A running cloud has no witness, and pays a comparison for it.
import type { Route, WireRequest } from "./wire.ts"

export interface Witness {
  /** The request as the handler is to have it. */
  asked: <R extends WireRequest>(route: Route, request: R) => R
  /** The body of a success. */
  answered: (route: Route, request: WireRequest, body: unknown) => void
}

let current: Witness | undefined

export function setWitness(witness: Witness | undefined): void {
  current = witness
}

export function witnessOf(): Witness | undefined {
  return current
}
