// What has changed, by noun and id: noted while a transaction writes, told to the engine after its commit.
import type { Tx } from "../../platform/db/database.ts"
import type { Told } from "../driver/network-driver.ts"
import { nouns, told } from "../driver/want.ts"

/** Beside what the engine has: what stands for many things of it. */
const wideNouns = ["addressGroups", "portsOfSubnets", "ofNetworks", "qosPolicies", "qosOfNetworks"] as const

export type WideNoun = (typeof wideNouns)[number]
export type ChangedNoun = keyof Told | WideNoun

/** Each of these is new, changed or gone. */
export type Changed = Partial<Record<ChangedNoun, readonly string[]>>

const allNouns: readonly ChangedNoun[] = [...wideNouns, ...nouns]

/** Changes waiting to be told, oldest first, each once. */
export class Pending {
  readonly #ids = new Map<string, { noun: ChangedNoun; id: string }>()

  get size(): number {
    return this.#ids.size
  }

  keys(): Iterable<string> {
    return this.#ids.keys()
  }

  add(changed: Changed): void {
    for (const noun of allNouns)
      for (const id of changed[noun] ?? []) this.#ids.set(`${noun} ${id}`, { noun, id })
  }

  has(key: string): boolean {
    return this.#ids.has(key)
  }

  /** Takes these out. */
  pick(keys: Iterable<string>): Changed {
    const picked: Partial<Record<ChangedNoun, string[]>> = {}
    for (const key of keys) {
      const found = this.#ids.get(key)
      if (!found) continue
      this.#ids.delete(key)
      picked[found.noun] ??= []
      picked[found.noun]?.push(found.id)
    }
    return picked
  }

  take(most: number): Changed {
    return this.pick([...this.#ids.keys()].slice(0, most))
  }
}

export function keysOf(changed: Changed): string[] {
  return allNouns.flatMap((noun) => (changed[noun] ?? []).map((id) => `${noun} ${id}`))
}

/** Undefined when there is nothing of the sort. */
export function wideOf(changed: Changed): Pick<Changed, WideNoun> | undefined {
  const wide = Object.fromEntries(wideNouns.map((noun) => [noun, changed[noun] ?? []]))
  return wideNouns.some((noun) => wide[noun]?.length) ? wide : undefined
}

export function toldOf(changed: Changed): Told {
  return told((noun) => changed[noun] ?? [])
}

export function halves(changed: Changed): [Changed, Changed] {
  const pending = new Pending()
  pending.add(changed)
  const first = pending.take(Math.ceil(pending.size / 2))
  return [first, pending.take(pending.size)]
}

const noted = new WeakMap<Tx, Pending>()

/** Whoever writes what the engine has something of says so; `change` tells it after the commit. */
export function noteChanged(tx: Tx, changed: Changed): void {
  const pending = noted.get(tx) ?? new Pending()
  noted.set(tx, pending)
  pending.add(changed)
}

export function changedIn(tx: Tx): Changed {
  const pending = noted.get(tx)
  return pending ? pending.take(pending.size) : {}
}
