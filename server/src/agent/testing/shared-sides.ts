// Two hosts whose agents reach one storage of volumes, a directory if nothing else is said, and guests (tcg) that go
// from one to the other while they run.
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Duplex } from "node:stream"
import { systemClock } from "../../platform/clock/clock.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { silentLogger } from "../../platform/log/log.ts"
import { linkedPair } from "../../platform/streams/pair.ts"
import type { AgentCommands, DiskSpec, Fence, VmSpec } from "../protocol.ts"
import { FileVolumeDriver } from "../volumes/file-driver.ts"
import type { VolumeDriver } from "../volumes/volume-driver.ts"
import { makeQemuAgent, noVolumeKeys, type QemuAgent, tinySpec } from "./qemu-agent.ts"
import { testRunAs } from "./tiny-driver.ts"
import { makeTinyGuest, type TinyGuest } from "./tiny-guest.ts"
import { type Guest, guestFence, VolumeGuests } from "./volume-guests.ts"

export const sharedBackend = "nas"
type Sent = AgentCommands["vm.send_live"]

const block = "head -c 512 /dev/urandom > /b; cat /b >> /w"
const onDisk = "dd if=/b of=/dev/$d bs=512 seek=$i conv=fsync,notrunc 2>/dev/null; echo $i > /n"

/** What a guest types, which knows the volume's device as $d. */
export const volumeWriter = {
  /** Until `stop`: in blocks, each on the disk before the next. */
  writes: `rm -f /w /n /stop; i=0; while [ ! -e /stop ]; do i=$((i+1)); ${block}; ${onDisk}; done &`,
  stop: "touch /stop; wait",
  sumOfWritten: "echo $(cat /n) $(md5sum < /w)",
  sumOfRead:
    "echo 3 > /proc/sys/vm/drop_caches; echo $(cat /n) $(dd if=/dev/$d bs=512 skip=1 count=$(cat /n) 2>/dev/null | md5sum)",
}
/** How many blocks there are; some are. */
export const untilWritten = "until [ -s /n ]; do sleep 0.1; done; cat /n"

export class SharedSide {
  readonly dataDir: string
  readonly guests: VolumeGuests
  readonly #sides: SharedSides
  readonly #host: string
  #subject: QemuAgent | undefined

  constructor(sides: SharedSides, host: string) {
    this.#sides = sides
    this.#host = host
    this.dataDir = join(sides.root, host)
    this.guests = new VolumeGuests(this.dataDir, () => this.subject, sharedBackend)
  }

  get subject(): QemuAgent {
    if (!this.#subject) throw new Error(`${this.#host} is not open`)
    return this.#subject
  }

  get agent() {
    return this.subject.agent
  }

  /** Also a second time: as after its agent was killed, or its host was off (`bootId`). */
  async open(bootId = "boot"): Promise<void> {
    const { dataDir } = this
    const driver = this.#sides.driverOf(this.#host)
    this.#subject = await makeQemuAgent({
      ...{ dataDir, guest: this.#sides.guest, clock: systemClock, log: silentLogger, volumes: [driver] },
      qemu: { runAs: testRunAs },
      bootId: () => bootId,
      volumeKeys: { ...noVolumeKeys, of: (volumeId) => this.#sides.keyOf(volumeId) },
      streams: { dial: (id) => this.#sides.meet(id) },
    })
    await this.agent.recoverAll()
  }

  async release(): Promise<void> {
    await this.#subject?.agent.release()
    this.#subject = undefined
  }

  async powerOf(serverId: string): Promise<string> {
    return (await this.agent.handle("vm.inspect", { serverId })).power
  }
}

interface WantedGuest {
  root: DiskSpec | null
  disks?: DiskSpec[]
  properties?: Record<string, string>
}

export interface SharedSidesOptions {
  /** Default: a directory of its own. */
  root?: string
  driverOf?: (host: string) => VolumeDriver
  /** Default: the two meet in this process. */
  dial?: (id: string) => Promise<Duplex>
}

export class SharedSides {
  readonly root: string
  readonly directory: string
  readonly here: SharedSide
  readonly there: SharedSide
  readonly driverOf: (host: string) => VolumeDriver
  readonly #passphrases = new Map<string, string>()
  readonly #waiting = new Map<string, Duplex>()
  #guest: TinyGuest | undefined

  readonly #dial: ((id: string) => Promise<Duplex>) | undefined

  constructor({ root, driverOf, dial }: SharedSidesOptions = {}) {
    this.root = root ?? mkdtempSync(join(tmpdir(), "kumoi-shared-sides-"))
    this.directory = join(this.root, "nas")
    this.#dial = dial
    this.driverOf =
      driverOf ??
      ((host) => new FileVolumeDriver(this.directory, { name: sharedBackend, temporary: `@${host}.tmp` }))
    this.here = new SharedSide(this, "host1")
    this.there = new SharedSide(this, "host2")
  }

  async open(): Promise<void> {
    chmodSync(this.root, 0o711)
    mkdirSync(this.directory, { mode: 0o711 })
    for (const side of [this.here, this.there]) await this.openOne(side)
  }

  async openOne(side: SharedSide): Promise<void> {
    this.#guest ??= await makeTinyGuest(this.root)
    await side.open()
  }

  async dispose(): Promise<void> {
    for (const side of [this.here, this.there]) {
      await side.guests.destroyAll()
      await side.release()
    }
    rmSync(this.root, { recursive: true })
  }

  get guest(): TinyGuest {
    if (!this.#guest) throw new Error("the sides are not open")
    return this.#guest
  }

  async keyOf(volumeId: string) {
    const passphrase = this.#passphrases.get(volumeId)
    if (passphrase === undefined) throw new Error(`no key of ${volumeId}`)
    return { passphrase, cipher: "aes-xts-plain64", keySizeBits: 256 }
  }

  async makeEncrypted(sizeBytes: number): Promise<DiskSpec> {
    const volumeId = newUuid()
    this.#passphrases.set(volumeId, newUuid())
    const volume = { volumeId, backend: sharedBackend, sizeBytes, encrypted: true, fence: guestFence }
    await this.here.agent.handle("volume.create", volume)
    const source = { kind: "volume" as const, volumeId, backend: sharedBackend, encrypted: true }
    return { name: volumeId, sizeBytes, bus: "virtio", bootIndex: null, source }
  }

  /** On the first side. Root null: an image of its host. */
  async boot({ root, disks = [], properties = {} }: WantedGuest): Promise<Guest> {
    const serverId = newUuid()
    const tiny = tinySpec(serverId)
    const first = root ?? tiny.disks[0]
    if (!first) throw new Error("unreachable: a tiny machine has disks")
    const guest = { serverId, spec: { ...tiny, properties, configDrive: null, disks: [first, ...disks] } }
    await this.here.guests.ensure(guest)
    return guest
  }

  /** The first that comes waits for the second. */
  async meet(id: string): Promise<Duplex> {
    if (this.#dial) return await this.#dial(id)
    const waiting = this.#waiting.get(id)
    if (waiting) {
      this.#waiting.delete(id)
      return waiting
    }
    const [own, other] = linkedPair()
    other.on("error", () => {})
    this.#waiting.set(id, other)
    return own
  }

  /** Both commands of a guest's way, begun. */
  async send(
    spec: VmSpec,
    fence: Fence,
    how: Partial<Sent["args"]> = {},
    [from, to] = [this.here, this.there],
  ) {
    const { serverId } = spec
    const { streams, ...layout } = await from.agent.handle("vm.layout", { serverId })
    const streamIds = Object.fromEntries(streams.map((name) => [name, newUuid()]))
    const sending = { serverId, streamIds, downtimeMs: 300, timeoutMs: 120_000, fence, ...how }
    return {
      streams,
      sent: from.agent.handle("vm.send_live", sending),
      received: to.agent.handle("vm.receive_live", { spec, layout, streamIds, fence }),
    }
  }
}
