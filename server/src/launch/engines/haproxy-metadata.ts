// The metadata proxy of one cloud: HAProxy's master, which starts a worker for each configuration. Memory is one
// worker for all networks.
import { readlinkSync, rmSync } from "node:fs"
import { join } from "node:path"
import { aliveRevision, prepareProxyConfig, proxyFiles } from "../../agent/metadata/metadata-proxy.ts"
import { enterNetns } from "../../agent/ports/netns.ts"
import type { EngineSpec } from "../../platform/supervise/supervisor.ts"
import type { OvnPaths } from "./ovn-paths.ts"

export const metadataProxyName = "metadata-proxy"

export function metadataProxyEngine(options: { paths: OvnPaths; logDir: string }): EngineSpec {
  const { paths } = options
  const files = proxyFiles(paths.proxyDir)
  const [command = "", ...enter] = enterNetns(paths.netnsFile)
  // A proxy of another mount namespace cannot see the network namespaces that we name. The name of the namespace
  // stands in the command line, so that such a proxy is not adopted but started anew.
  const mountNamespace = readlinkSync("/proc/self/ns/mnt").replace(/\D/g, "")
  return {
    name: metadataProxyName,
    command,
    args: [
      ...enter,
      "/usr/sbin/haproxy",
      "-W",
      "-db",
      "-f",
      files.config,
      "-S",
      `${files.masterSocket},mode,600`,
      "-L",
      `kumoi-${mountNamespace}`,
    ],
    logFile: join(options.logDir, `${metadataProxyName}.log`),
    isReady: async () => (await aliveRevision(files.aliveSocket)) !== undefined,
    stopGraceMs: 5_000,
    prepare: async () => {
      prepareProxyConfig(paths)
      for (const socket of [files.masterSocket, files.aliveSocket, files.statsSocket])
        rmSync(socket, { force: true })
    },
  }
}
