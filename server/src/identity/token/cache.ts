// What a process remembers of identity. Rules:
// - Nothing is remembered unless changes of other processes reach us (`isCoherent`, see change.ts); without that
//   every question goes to the database.
// - Any change empties everything. Identity changes are rare beside validations, so finer is not worth its bugs.
// - A reader takes `epoch` before it asks the database and stores only if no flush came between: otherwise an
//   answer from before a change could be stored after the flush that the change caused.
import type { Caller } from "../../platform/auth/caller.ts"
import type { Clock } from "../../platform/clock/clock.ts"
import type { Token } from "./token.ts"

export interface KnownToken {
  token: Token
  caller: Caller
  expiresAtMs: number
  /** JSON of the token without its catalog; made at the first validation that wants it. */
  json: string | null
}

export interface IdentityCache {
  readonly epoch: number
  isCoherent: boolean
  getToken(id: string): KnownToken | undefined
  storeToken(known: KnownToken, epoch: number): void
  /** JSON of the catalog of a project ("" for other scopes). */
  getCatalog(projectId: string): string | undefined
  storeCatalog(projectId: string, json: string, epoch: number): void
  flush(): void
}

export interface IdentityCacheOptions {
  clock: Clock
  tokensMax: number
  maxAgeMs: number
}

/** A catalog is some 10 KB of text. */
const catalogsMax = 500

export function createIdentityCache({ clock, tokensMax, maxAgeMs }: IdentityCacheOptions): IdentityCache {
  const tokens = new Map<string, { known: KnownToken; storedAtMs: number }>()
  const catalogs = new Map<string, string>()
  let epoch = 0
  let isCoherent = false
  const flush = () => {
    epoch++
    tokens.clear()
    catalogs.clear()
  }
  return {
    get epoch() {
      return epoch
    },
    get isCoherent() {
      return isCoherent
    },
    set isCoherent(value: boolean) {
      isCoherent = value
      flush()
    },
    getToken(id) {
      const entry = tokens.get(id)
      if (!entry) return undefined
      tokens.delete(id)
      if (clock.monotonicMs() - entry.storedAtMs > maxAgeMs) return undefined
      // Back at the end: the first of the map is the one that was not asked for the longest time.
      tokens.set(id, entry)
      return entry.known
    },
    storeToken(known, takenEpoch) {
      if (!isCoherent || takenEpoch !== epoch || tokensMax === 0) return
      tokens.set(known.token.id, { known, storedAtMs: clock.monotonicMs() })
      dropOldest(tokens, tokensMax)
    },
    getCatalog: (projectId) => catalogs.get(projectId),
    storeCatalog(projectId, json, takenEpoch) {
      if (!isCoherent || takenEpoch !== epoch) return
      catalogs.set(projectId, json)
      dropOldest(catalogs, catalogsMax)
    },
    flush,
  }
}

function dropOldest(map: Map<string, unknown>, max: number): void {
  for (const key of map.keys()) {
    if (map.size <= max) return
    map.delete(key)
  }
}
