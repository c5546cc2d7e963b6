// The agent of a joined host: everything that it knows of its cloud comes through the door.
import type { HostSettings } from "../../agent/door-protocol.ts"
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
  /** What the cloud says of itself, with each connection and from time to time. */
  onSettings?: (settings: HostSettings) => void
}

export interface MemberAgent {
  readonly role: AgentRole
  /** Whether it is connected to its cloud now, and why not. */
  link(): LinkState
  stop(options: StopOptions): Promise<void>
  /** Without a word to the cloud, which may be gone; guests run on. Resolves when no command is under way. */
  letGo(): Promise<void>
}

const renewEveryMs = 6 * 3_600_000
/** Another control host may have joined. */
const settingsEveryMs = 60_000
/** Where there are several doors: one of them opens soon. */
const pauseMostMs = { oneDoor: 8_000, severalDoors: 1_000 }

export async function startMemberAgent(options: MemberAgentOptions): Promise<MemberAgent> {
  const { membership, dataDir, client, log, clock } = options
  await using stack = new AsyncDisposableStack()
  let state: LinkState = { isConnected: false, problem: "not connected yet" }
  let role: AgentRole | null = null
  stack.defer(keepRenewed(options))
  let hearing = new AbortController()
  stack.defer(() => hearing.abort())
  const bus = stack.use(
    openLinkBus({
      connect: (signal) => client.openBus(signal),
      clock,
      log,
      onChange: (changed) => {
        state = changed
        hearing.abort()
        if (!changed.isConnected) return
        role?.agent.sayAlive()
        hearing = new AbortController()
        void hearSettings(options, hearing.signal)
      },
      pauseMostMs: () => (client.doors.length > 1 ? pauseMostMs.severalDoors : pauseMostMs.oneDoor),
    }),
  )
  const config = { dataDir, host: membership.name }
  const cloud = {
    images: doorImageStore(client),
    backups: doorBackupStore(client),
    volumeKeys: {
      of: (volumeId: string) => client.volumeKey(volumeId),
      connect: (volumeId: string) => client.volumeConnection(volumeId),
      ofTpm: (serverId: string) => client.tpmKey(serverId),
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
    async letGo() {
      await bus[Symbol.asyncDispose]()
      await started.stop({ guests: "leave", graceMs: 0 })
      await kept.disposeAsync()
    },
    async stop(how) {
      await started.stop(how)
      await kept.disposeAsync()
    },
  }
}

/** Until the next connection, or until the door does not answer any more. */
async function hearSettings(options: MemberAgentOptions, signal: AbortSignal): Promise<void> {
  const { client, clock, log, onSettings } = options
  try {
    while (!signal.aborted) {
      onSettings?.(await client.settings())
      await clock.sleep(settingsEveryMs, signal)
    }
  } catch (error) {
    if (!signal.aborted) log.debug({ error: describeError(error) }, "the cloud's settings were not heard")
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
