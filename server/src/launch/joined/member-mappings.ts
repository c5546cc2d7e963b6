// A joined host is told other bridges to physical networks while it runs: its guests stay as they are.
import { Fault } from "../../platform/fault/fault.ts"
import {
  type BridgeMappings,
  ownPublicNetwork,
  readBridgeMappings,
} from "../../platform/net/bridge-mappings.ts"
import { changeMembership, readMembership } from "./membership.ts"

export interface MappedHost {
  dataDir: string
  /** Null: the network is simulated. */
  mapBridges: ((mappings: BridgeMappings) => Promise<void>) | null
  /** The cloud hears of it at once. */
  sayAlive(): void
}

export interface MappingsAnswer {
  mappings: BridgeMappings
}

const simulated = () =>
  new Fault(
    "unsupported",
    "cli.mappings.simulated",
    "This cloud's network is simulated: no bridge leads anywhere.",
  )

/** One after the other, by the host. */
const turns = new WeakMap<MappedHost, Promise<unknown>>()

export async function answerMappings(host: MappedHost, question: unknown): Promise<MappingsAnswer> {
  // Looked at by readMappings.
  const { mappings: texts } = (question ?? {}) as { mappings?: unknown }
  const { mapBridges } = host
  if (mapBridges === null) throw simulated()
  const turn = (turns.get(host) ?? Promise.resolve()).then(async () => {
    const membership = readMembership(host.dataDir)
    if (!membership) throw new Error("a host that runs has joined")
    const mappings = readMappings(Array.isArray(texts) ? texts.map(String) : [], membership.isPublic ?? false)
    // First, as it refuses what cannot be: the next start must not fail by it.
    await mapBridges(mappings)
    changeMembership(host.dataDir, { ...membership, bridgeMappings: mappings })
    host.sayAlive()
    return { mappings }
  })
  turns.set(
    host,
    turn.catch(() => {}),
  )
  return await turn
}

/** Of a host that may have a way to the public network by the cloud's own bridge. */
export function readMappings(texts: readonly string[], isPublic: boolean): BridgeMappings {
  const mappings = readBridgeMappings(texts)
  const refused = (message: string) => new Fault("invalid", "cli.option.invalid", message)
  if (typeof mappings === "string") throw refused(`bridge mappings: ${mappings}.`)
  if (!isPublic || !Object.hasOwn(mappings, ownPublicNetwork)) return mappings
  throw refused(
    `--public and the mapping of ${ownPublicNetwork}: both say how this machine reaches the public network; leave one out.`,
  )
}
