// The address of the public network on this host. Chosen once for a cloud and kept: floating IPs come from it.
import { join } from "node:path"
import type { Config } from "../platform/config/config.ts"
import { Fault } from "../platform/fault/fault.ts"
import { ownPublicNetwork } from "../platform/net/bridge-mappings.ts"
import { type CloudDir, readJson, writeJson } from "./cloud-dir.ts"
import { freePublicAddress } from "./engines/ovn-probe.ts"

export interface PublicNetwork {
  /** Gateway address with prefix length: `172.24.4.1/24`. */
  address: string
  /** Configuration keys that follow from it; empty when the configuration says it all itself. */
  overrides: Record<string, unknown>
}

/** Of 172.24.N.0/24 the first free one: two clouds on one machine must differ. */
const candidates = Array.from({ length: 16 }, (_, i) => `172.24.${i + 4}.1/24`)

export async function choosePublicNetwork(dir: CloudDir, config: Config): Promise<PublicNetwork> {
  const { publicCidr, publicGateway, bridgeMappings } = config.network
  const configured = `${publicGateway}/${publicCidr.split("/")[1]}`
  // By a bridge of the machine it is another's network, whose addresses are known.
  const isForeign = bridgeMappings.some((each) => each.startsWith(`${ownPublicNetwork}:`))
  if (isForeign || configured !== candidates[0]) return { address: configured, overrides: {} }
  const file = join(dir.path, "public-network.json")
  const known = readJson<{ address: string }>(file)?.address
  const address = known ?? (await freePublicAddress(candidates))
  if (!address) {
    throw new Fault(
      "conflict",
      "cli.no_public_network",
      "172.24.4.0/24 to 172.24.19.0/24 are all in use here. Set network.publicCidr and its like in --config.",
    )
  }
  if (!known) writeJson(file, { address }, 0o644)
  const prefix = address.split(".").slice(0, 3).join(".")
  return {
    address,
    overrides: {
      "network.publicCidr": `${prefix}.0/24`,
      "network.publicGateway": `${prefix}.1`,
      "network.publicPoolStart": `${prefix}.10`,
      "network.publicPoolEnd": `${prefix}.250`,
    },
  }
}
