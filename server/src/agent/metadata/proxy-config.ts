// HAProxy's configuration for the metadata proxy: one frontend for each network, which stands in that network's
// own namespace, so that two networks may use the same addresses and a guest cannot claim another network.

export interface ProxyNetwork {
  networkId: string
  netns: string
}

export interface ProxyConfigOptions {
  /** HTTP over this socket is the metadata service. */
  metadataSocket: string
  /** Answers with the revision: tells that this very configuration is at work. */
  aliveSocket: string
  statsSocket: string
  user: string
  revision: string
}

/** Headers that the metadata service believes; a guest's own are dropped. */
const trustedHeaders = [
  "X-Forwarded-For",
  "Forwarded",
  "X-OVN-Network-ID",
  "X-Kumoi-Network-Id",
  "X-Neutron-Network-ID",
  "X-Neutron-Router-ID",
  "X-Instance-ID",
  "X-Instance-ID-Signature",
  "X-Tenant-ID",
  "X-Project-ID",
  "X-Metadata-Provider",
  "X-Metadata-Provider-Signature",
]

const connectionsMost = 1024
/** So that the guests of one network cannot take the service from all others. */
const connectionsPerNetwork = 128

export function proxyConfig(networks: readonly ProxyNetwork[], options: ProxyConfigOptions): string {
  const lines = [
    "global",
    // Guests reach this process, so its worker is nobody special.
    `    user ${options.user}`,
    `    group ${options.user}`,
    "    nbthread 1",
    `    maxconn ${connectionsMost}`,
    `    stats socket ${options.statsSocket} mode 600 level admin expose-fd listeners`,
    "    hard-stop-after 30s",
    "defaults",
    "    mode http",
    "    timeout connect 5s",
    "    timeout client 32s",
    "    timeout server 32s",
    "    timeout http-request 30s",
    "    timeout http-keep-alive 30s",
    "frontend alive",
    `    bind unix@${options.aliveSocket} mode 600`,
    `    http-request return status 200 content-type text/plain string "${options.revision}"`,
  ]
  for (const { networkId, netns } of networks)
    lines.push(
      `frontend network_${networkId}`,
      `    bind 169.254.169.254:80 namespace ${netns}`,
      `    bind [fe80::a9fe:a9fe]:80 interface eth0 namespace ${netns}`,
      `    maxconn ${connectionsPerNetwork}`,
      ...trustedHeaders.map((header) => `    http-request del-header ${header}`),
      "    http-request set-header X-Forwarded-For %[src]",
      `    http-request set-header X-OVN-Network-ID ${networkId}`,
      `    http-request set-header X-Kumoi-Network-Id ${networkId}`,
      "    default_backend metadata",
    )
  lines.push("backend metadata", `    server kumoi unix@${options.metadataSocket}`, "")
  return lines.join("\n")
}
