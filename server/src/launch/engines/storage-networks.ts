// Which networks of storage a host cannot have beside its tunnels.
import { BlockList } from "node:net"
import { badConfig } from "../../platform/config/config.ts"

/**
 * Faults `config.invalid`: within the cloud's namespace the way to each network of storage leaves by a link of its own,
 * which tunnels cannot take. Hosts' addresses lie in one network as a rule, so this host's own tells of the others'.
 */
export function refuseStorageOverTunnel(networks: readonly string[], tunnelAddress: string): void {
  for (const [index, network] of networks.entries()) {
    const [address = "", bits = ""] = network.split("/")
    const covered = new BlockList()
    covered.addSubnet(address, Number(bits), "ipv4")
    if (!covered.check(tunnelAddress, "ipv4")) continue
    const why =
      `${network} covers ${tunnelAddress}, by which this host reaches the others: their tunnels would not pass. ` +
      "Name the storage's own addresses, such as 10.1.0.5/32, or give hosts addresses of another network"
    throw badConfig(`agent.storageNetworks.${index}`, why)
  }
}
