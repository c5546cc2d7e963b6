import type { Filter } from "./filter.ts"

/** Always asked, also of a host that an administrator named: elsewhere the server's interfaces would lead nowhere. */
export const physicalNetworkFilter: Filter = {
  name: "PhysicalNetwork",
  needs: ["physicalNetworks"],
  isAsked: ({ physicalNetworks }) => physicalNetworks.length > 0,
  narrow: ({ physicalNetworks }) => ({ physicalNetworks }),
  refuse: ({ physicalNetworks: reached }, { physicalNetworks }) => {
    const missing = reached === null ? [] : physicalNetworks.filter((each) => !reached.includes(each))
    if (missing.length === 0) return null
    const names = missing.join(", ")
    return {
      why: `it does not reach the physical network ${names}`,
      fix: `map ${names} to a bridge of this host (network.bridgeMappings; of one that joined: ./kumoi host bridge-mappings, on it)`,
      forUser: "no host that could have it reaches the physical network of a network that was asked for",
    }
  },
}
