// The role "api": a process that answers requests and nothing else. What works (sagas, reconcilers, the agent, the
// network engine) is in the process whose bus it reaches; without that one it has nothing left to do.
import { openControlPlane, serveApis, startServices } from "./control-plane.ts"
import { remoteNetworkDriver, remoteNetworkSync } from "./network/index.ts"
import { openSocketBus } from "./platform/bus/socket-bus.ts"
import type { Config } from "./platform/config/config.ts"
import type { ListenOptions } from "./platform/http/listen.ts"
import { forwardUpgrades } from "./platform/http/upgrade.ts"
import type { Logger } from "./platform/log/log.ts"

/** Data: it travels from the process that works to those that answer. */
export interface ApiRoleParts {
  base: Pick<Config, "dataDir" | "publicUrl" | "region" | "host">
  configFile: string | null
  /** Dotted configuration keys; the strongest source. */
  overrides: Readonly<Record<string, unknown>>
  databaseUrl: string
  busSocket: string
  /** Where that process takes WebSockets to consoles. */
  consoleSocket: string
  /** What carries packets, as the API names it. */
  networkDriver: string
  listen: ListenOptions
}

export interface ApiRole extends AsyncDisposable {
  /** Resolves when the process that works is gone. */
  readonly lost: Promise<void>
}

export async function startApiRole(
  parts: ApiRoleParts,
  how: { log: Logger; env: Readonly<Record<string, string | undefined>> },
): Promise<ApiRole> {
  const { log, env } = how
  const lost = Promise.withResolvers<void>()
  await using stack = new AsyncDisposableStack()
  const bus = stack.use(
    await openSocketBus({ socketPath: parts.busSocket, log, onLost: () => lost.resolve() }),
  )
  const plane = await openControlPlane(
    {
      ...parts,
      configFile: parts.configFile ?? undefined,
      env,
      log,
      bus,
      passwords: null,
      drivers: () => ({
        network: remoteNetworkDriver(bus, parts.networkDriver),
        networkSync: remoteNetworkSync(bus),
      }),
      isOnlyWorker: false,
    },
    stack,
  )
  await startServices(plane, stack)
  await serveApis(plane, parts.listen, forwardUpgrades(parts.consoleSocket), stack)
  const kept = stack.move()
  return { lost: lost.promise, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}
