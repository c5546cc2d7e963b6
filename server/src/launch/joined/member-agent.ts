// The agent of a joined host: everything that it knows of its cloud comes through the door.
import { type AgentParts, type AgentRole, type StopOptions, startAgentRole } from "../../agent-role.ts"
import { makeRequest } from "../../platform/authority/authority.ts"
import { type LinkState, openLinkBus } from "../../platform/bus/link-bus.ts"
import type { Clock } from "../../platform/clock/clock.ts"
import { describeError } from "../../platform/fault/fault.ts"
import type { Logger } from "../../platform/log/log.ts"
import { doorBackupStore } from "./door-backup-store.ts"
import type { DoorClient } from "./door-client.ts"
import { doorImageStore } from "./door-image-store.ts"
import { doorStreamDialer } from "./door-stream-dialer.ts"
import { isCertificateOld, type Membership, memberFiles, writeCertificate } from "./membership.ts"

export interface MemberAgentOptions {
  membership: Membership
  dataDir: string
  client: DoorClient
  parts: AgentParts
  log: Logger
  clock: Clock
}

export interface MemberAgent {
  readonly role: AgentRole
  /** Whether it is connected to its cloud now, and why not. */
  link(): LinkState
  stop(options: StopOptions): Promise<void>
}

const renewEveryMs = 6 * 3_600_000

export async function startMemberAgent(options: MemberAgentOptions): Promise<MemberAgent> {
  const { membership, dataDir, client, log, clock } = options
  await using stack = new AsyncDisposableStack()
  let state: LinkState = { isConnected: false, problem: "not connected yet" }
  let role: AgentRole | null = null
  stack.defer(keepRenewed(options))
  const bus = stack.use(
    openLinkBus({
      connect: (signal) => client.openBus(signal),
      clock,
      log,
      onChange: (changed) => {
        state = changed
        if (changed.isConnected) role?.agent.sayAlive()
      },
    }),
  )
  const config = { dataDir, host: membership.name }
  const cloud = {
    images: doorImageStore(client),
    backups: doorBackupStore(client),
    volumeKeys: {
      of: (volumeId: string) => client.volumeKey(volumeId),
      connect: (volumeId: string) => client.volumeConnection(volumeId),
    },
    streams: doorStreamDialer(client),
  }
  const started = await startAgentRole({ bus, clock, log, config }, options.parts, cloud)
  role = started
  if (state.isConnected) started.agent.sayAlive()
  const kept = stack.move()
  return {
    role: started,
    link: () => state,
    async stop(how) {
      await started.stop(how)
      await kept.disposeAsync()
    },
  }
}

/** Looks after the certificate until the function that it returns is called. */
function keepRenewed({ dataDir, client, log, clock }: MemberAgentOptions): () => Promise<void> {
  const stop = new AbortController()
  const loop = (async () => {
    while (!stop.signal.aborted) {
      try {
        if (isCertificateOld(dataDir)) {
          const { certificate } = await client.renew(await makeRequest(memberFiles(dataDir).keyFile))
          writeCertificate(dataDir, certificate)
          client.reload()
          log.info("the host's certificate was renewed")
        }
      } catch (error) {
        log.error({ error: describeError(error) }, "the host's certificate could not be renewed")
      }
      await clock.sleep(renewEveryMs, stop.signal).catch(() => {})
    }
  })()
  return async () => {
    stop.abort()
    await loop
  }
}
