// Bridge mappings: which physical networks a host reaches, and by which of its bridges. As Neutron and OVN write them:
// `public:br-public`.

/** By physical network: the bridge. */
export type BridgeMappings = Readonly<Record<string, string>>

/** The physical network that a host has a bridge of its own for, where none of the machine's was named. */
export const ownPublicNetwork = "public"
export const ownPublicBridge = "br-ex"

/** A network device's name in Linux has 15 characters at the most. */
const mappingPattern = /^([\w.-]{1,64}):([\w.-]{1,15})$/

/** Gives what is wrong with them as text. */
export function readBridgeMappings(texts: readonly string[]): BridgeMappings | string {
  const mappings: Record<string, string> = {}
  for (const text of texts) {
    const [, network, bridge] = mappingPattern.exec(text) ?? []
    if (network === undefined || bridge === undefined)
      return `${JSON.stringify(text)} is no mapping; write a physical network and a bridge, such as public:br-public`
    if (Object.hasOwn(mappings, network)) return `the physical network ${network} is mapped twice`
    if (Object.values(mappings).includes(bridge)) return `the bridge ${bridge} is mapped twice`
    mappings[network] = bridge
  }
  return mappings
}

/** Of texts that were looked at before, as those of the configuration are. */
export function bridgeMappingsOf(texts: readonly string[]): BridgeMappings {
  const mappings = readBridgeMappings(texts)
  if (typeof mappings === "string") throw new Error(mappings)
  return mappings
}
