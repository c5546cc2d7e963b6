// Tells each host whose guests it answers at 169.254.169.254: the networks that have guests there. A host keeps to
// what it was told last, so it is told what is new, and now and then all again in case it lost that.

import type { MetadataNetwork, MetadataReport } from "../../agent/protocol.ts"
import { sendToAgent } from "../../engine/agent-call.ts"
import type { Reconciler } from "../../engine/reconcile/reconciler.ts"
import { metadataNetworks } from "../../network/index.ts"
import type { Platform } from "../../platform/context/context.ts"
import { describeError } from "../../platform/fault/fault.ts"
import { agentTimeoutMs } from "../agent-call.ts"
import { selectMetadataHosts } from "../host/store.ts"

export const metadataReconcilerName = "metadata.proxy"

const intervalMs = 30_000
/** A host that is as it was told is told again after so long. */
const againMs = 10 * 60_000
/** How long a run waits for its hosts. Slower ones are not waited for, and hold up nobody. */
const patienceMs = 1_000

export interface MetadataLists {
  readonly reconciler: Reconciler
  /** Whether a host must be told something, as far as is known here, when this port has become what it is. */
  isNews(port: { kind: "vif" | "metadata"; hostId: string | null; networkId: string }): boolean
}

export function createMetadataLists(): MetadataLists {
  const lists = new HostLists()
  return {
    isNews: ({ kind, hostId, networkId }) =>
      kind === "metadata" ? lists.isInUse : hostId !== null && lists.isNews(hostId, networkId),
    reconciler: {
      name: metadataReconcilerName,
      intervalMs,
      timeoutMs: intervalMs,
      run: (platform, signal) => lists.run(platform, signal),
    },
  }
}

interface HostList {
  wanted: readonly MetadataNetwork[]
  /** As text, what is wanted and what the host has taken. */
  text: string
  sentText: string | null
  sentMs: number
  /** Networks that it has taken. */
  sentIds: ReadonlySet<string>
  underway: Promise<void> | null
  /** Why it could not be told the last time. */
  problem: string | null
}

class HostLists {
  readonly #lists = new Map<string, HostList>()
  /** Hosts that answer no guests at all. */
  #others: ReadonlySet<string> = new Set()

  /** Whether any host answers guests. */
  get isInUse(): boolean {
    return this.#lists.size > 0
  }

  isNews(host: string, networkId: string): boolean {
    return !this.#others.has(host) && !this.#lists.get(host)?.sentIds.has(networkId)
  }

  async run(platform: Platform, signal: AbortSignal): Promise<Record<string, unknown>> {
    const hosts = await selectMetadataHosts(platform.db, platform.config.compute.serviceDownAfterMs)
    this.#others = new Set(hosts.flatMap(({ name, hasMetadata }) => (hasMetadata === false ? [name] : [])))
    const names = hosts.flatMap(({ name, hasMetadata, isUp }) => (hasMetadata && isUp ? [name] : []))
    this.#keepOnly(new Set(names))
    if (names.length === 0) return { hosts: 0 }
    const networks = await metadataNetworks(platform.db)
    const sum = { changed: 0, removed: 0 }
    const begun = names.flatMap((host) => {
      const list = this.#want(host, networks.get(host) ?? [])
      return this.#isDue(platform, list) ? [this.#begin(platform, host, list, sum)] : []
    })
    if (begun.length > 0) await atMost(platform, patienceMs, Promise.all(begun), signal)
    this.#throwProblems()
    return { hosts: names.length, told: begun.length, ...sum }
  }

  /** A host that is away is told anew when it is back. */
  #keepOnly(names: ReadonlySet<string>): void {
    for (const host of this.#lists.keys()) if (!names.has(host)) this.#lists.delete(host)
  }

  #want(host: string, wanted: readonly MetadataNetwork[]): HostList {
    const text = JSON.stringify(wanted)
    const known = this.#lists.get(host)
    if (known) return Object.assign(known, { wanted, text })
    const list = { wanted, text, sentText: null, sentMs: 0, sentIds: new Set<string>() }
    const made: HostList = { ...list, underway: null, problem: null }
    this.#lists.set(host, made)
    return made
  }

  #isDue({ clock }: Platform, list: HostList): boolean {
    if (list.underway) return false
    return list.sentText !== list.text || clock.monotonicMs() - list.sentMs > againMs
  }

  #begin(platform: Platform, host: string, list: HostList, sum: MetadataReport): Promise<void> {
    list.underway = this.#tell(platform, host, list, sum).finally(() => {
      list.underway = null
    })
    return list.underway
  }

  async #tell(platform: Platform, host: string, list: HostList, sum: MetadataReport): Promise<void> {
    const timeoutMs = agentTimeoutMs(platform, "host.serve_metadata")
    try {
      // What is wanted may be something else by the time that the host has answered.
      do {
        const { text, wanted } = list
        const args = { networks: wanted }
        const { changed, removed } = await sendToAgent(platform, host, "host.serve_metadata", args, {
          timeoutMs,
        })
        sum.changed += changed
        sum.removed += removed
        const sentIds = new Set(wanted.map(({ networkId }) => networkId))
        Object.assign(list, { sentText: text, sentMs: platform.clock.monotonicMs(), sentIds, problem: null })
      } while (list.sentText !== list.text)
    } catch (error) {
      list.problem = describeError(error)
    }
  }

  #throwProblems(): void {
    const problems = [...this.#lists].flatMap(([host, { problem }]) =>
      problem ? [`${host}: ${problem}`] : [],
    )
    if (problems.length === 0) return
    const more = problems.length > problemsShown ? ` and ${problems.length - problemsShown} more` : ""
    throw new Error(
      `hosts that do not answer guests as told: ${problems.slice(0, problemsShown).join("; ")}${more}`,
    )
  }
}

const problemsShown = 3

async function atMost(
  { clock }: Platform,
  ms: number,
  work: Promise<unknown>,
  signal: AbortSignal,
): Promise<void> {
  const enough = new AbortController()
  const timer = clock.sleep(ms, AbortSignal.any([signal, enough.signal])).catch(() => {})
  await Promise.race([work, timer])
  enough.abort()
}
