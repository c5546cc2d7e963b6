// A real tgtd, and QEMU's own programs as the machines of other hosts.
import assert from "node:assert/strict"
import { type ChildProcess, spawn } from "node:child_process"
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs"
import { rm } from "node:fs/promises"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { freePort } from "../../../test/free-port.ts"
import {
  agentFenceStale,
  agentVolumeBusy,
  agentVolumeConnected,
  agentVolumeNotFound,
} from "../../agent/faults.ts"
import type { LocalVolume } from "../../agent/hypervisor/hypervisor.ts"
import type { Fence, VolumeConnection } from "../../agent/protocol.ts"
import { iscsiArguments } from "../../agent/testing/iscsi-guest.ts"
import { logInByIscsi } from "../../agent/testing/iscsi-login.ts"
import { volumeContract } from "../../agent/volumes/contract.ts"
import { IscsiVolumeDriver } from "../../agent/volumes/iscsi-driver.ts"
import { eventually } from "../../platform/clock/clock.ts"
import { exec } from "../../platform/exec/exec.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { silentLogger } from "../../platform/log/log.ts"
import { Supervisor } from "../../platform/supervise/supervisor.ts"
import { tgtdEngine, tgtdEngineNames } from "./tgtd.ts"

const mib = 1024 * 1024
const { signal } = new AbortController()
const root = mkdtempSync(join(tmpdir(), "kumoi-tgtd-"))
chmodSync(root, 0o711)
const isRoot = process.getuid?.() === 0
/** nobody */
const user = isRoot ? { uid: 65_534, gid: 65_534 } : null
const supervisor = new Supervisor({ runDir: join(root, "run"), log: silentLogger, stableAfterMs: 0 })
let portal: string

const drivers = new Map<string, IscsiVolumeDriver>()
/** One of a host's agent, as long as that runs. */
function open(host = "host1"): IscsiVolumeDriver {
  const driver = drivers.get(host) ?? makeDriver(host)
  drivers.set(host, driver)
  return driver
}

const makeDriver = (host: string) =>
  new IscsiVolumeDriver({
    ...{ name: "san", directory: join(root, host), reachedDir: join(root, host, "reached") },
    target: host === "host1" ? { portal, user, socketPath: join(root, "tgt/ctl") } : null,
  })
const fence = (generation: number): Fence => ({ generation, fence: 0 })

const tgtd = () => supervisor.status().find(({ name }) => name === "tgtd-san") ?? assert.fail("tgtd runs")

/** It is back, and was told everything. */
async function killTgtd(): Promise<void> {
  const { pid } = tgtd()
  process.kill(pid ?? assert.fail("tgtd runs"), "SIGKILL")
  await eventually("tgtd to be back", () => tgtd().state === "running" && tgtd().pid !== pid)
  const [host = "", port] = portal.split(":")
  const isThere = () =>
    new Promise<boolean>((resolve) => {
      const socket = connect({ host, port: Number(port) })
      socket.once("connect", () => resolve(true)).once("error", () => resolve(false))
      socket.once("connect", () => socket.destroy())
    })
  await eventually("tgtd to listen", isThere)
}

/** As one that was killed: tgtd outlives it. */
async function agentStartsAgain(): Promise<void> {
  supervisor.release()
  drivers.delete("host1")
  await supervisor.start(tgtdEngine({ driver: open(), logDir: root, log: silentLogger }))
}

before(async () => {
  portal = `127.0.0.1:${await freePort()}`
  await supervisor.start(tgtdEngine({ driver: open(), logDir: root, log: silentLogger }))
})
after(async () => {
  await supervisor.stopAll()
  rmSync(root, { recursive: true })
})

volumeContract("iscsi", () => open())

async function made(sizeBytes = 8 * mib): Promise<string> {
  const volumeId = newUuid()
  await open().create(volumeId, sizeBytes, null, signal)
  return volumeId
}

async function given(volumeId: string, host: string, generation: number): Promise<LocalVolume> {
  const told = await open().exports.connect(volumeId, { host, fence: fence(generation) })
  return await open(host).exports.reach(volumeId, async () => told)
}

function openedBy(volume: LocalVolume): string[] {
  assert.ok(volume.kind === "iscsi")
  return iscsiArguments({ ...volume }, volume.keyFile)
}

async function io(volume: LocalVolume, ...commands: string[]): Promise<string> {
  const asked = commands.flatMap((command) => ["-c", command])
  const { stdout } = await exec("qemu-io", [...asked, ...openedBy(volume)], { okCodes: [0] })
  return stdout
}

/** Stays logged in until it is ended. */
class Guest implements AsyncDisposable {
  readonly #child: ChildProcess
  #said = ""

  constructor(volume: LocalVolume) {
    this.#child = spawn("qemu-io", openedBy(volume), { stdio: ["pipe", "pipe", "inherit"] })
    this.#child.stdout?.on("data", (data) => {
      this.#said += data
    })
  }

  async does(command: string, answer: RegExp): Promise<void> {
    this.#said = ""
    this.#child.stdin?.write(`${command}\n`)
    await eventually(`${command} to be done`, () => answer.test(this.#said), { timeoutMs: 30_000 })
  }

  /** As a host that is lost. */
  kill(): void {
    this.#child.kill("SIGKILL")
  }

  say(command: string): void {
    this.#child.stdin?.write(`${command}\n`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once("close", resolve))
    this.#child.stdin?.end()
    await ended
  }
}

test("a host that a volume is given to writes to it, and what it flushed is in the file", async () => {
  const volumeId = await made()
  const volume = await given(volumeId, "host2", 1)
  await io(volume, "write -P 7 0 1M", "write -P 8 7M 1M", "flush")
  const data = readFileSync(join(root, "host1", volumeId, "volume.raw"))
  assert.deepEqual([data.length, data[0], data[mib], data[8 * mib - 1]], [8 * mib, 7, 0, 8])
  await io(volume, "discard 0 4M")
  await eventually("what was discarded to be given back", async () => {
    return ((await open().inspect(volumeId))?.allocatedBytes ?? 0) <= mib
  })
})

test("nobody else gets in: with another name, another secret, or none", async () => {
  const volumeId = await made()
  const told = await open().exports.connect(volumeId, { host: "host2", fence: fence(1) })
  assert.match(told.secret, /^[0-9a-f]{48}$/)
  const reached = (change: Partial<VolumeConnection>) =>
    open("host3").exports.reach(volumeId, async () => ({ ...told, ...change }))
  for (const change of [
    { initiator: `${told.initiator}x` },
    { secret: "0".repeat(48) },
    { user: "somebody" },
    { target: told.target.replace("volume-", "volume-x") },
  ])
    await assert.rejects(io(await reached(change), "read 0 512"), /login|log in|Authentication/i)
  await io(await reached({}), "read 0 512")
})

test("it is one host's at a time, and the next one's has another secret", async () => {
  const volumeId = await made()
  const first = await given(volumeId, "host2", 1)
  {
    await using guest = new Guest(first)
    await guest.does("write -P 1 0 64k", /wrote 65536/)
    const refused = open().exports.connect(volumeId, { host: "host3", fence: fence(2) })
    await assert.rejects(refused, agentVolumeConnected.is)
    await guest.does("write -P 2 0 64k", /wrote 65536/)
    // The same host asks again, as when its agent was killed.
    assert.deepEqual(await given(volumeId, "host2", 3), first)
    await guest.does("flush", /qemu-io>/)
  }
  const second = await given(volumeId, "host3", 4)
  await assert.rejects(io(first, "read 0 512"), /login|log in|Authentication/i)
  assert.match(await io(second, "read -P 2 0 64k"), /read 65536/)
  await assert.rejects(
    open().exports.connect(volumeId, { host: "host2", fence: fence(3) }),
    agentFenceStale.is,
  )
  await assert.rejects(open().exports.disconnect(volumeId, fence(3)), agentFenceStale.is)
})

test("what changes or copies it waits until it is closed there, and the host has it again afterwards", async () => {
  const [volumeId, copy] = [await made(), newUuid()]
  const driver = open()
  const volume = await given(volumeId, "host2", 1)
  const origin = {
    kind: "volume" as const,
    volumeId,
    take: ({ copyStill }: { copyStill: () => Promise<void> }) => copyStill(),
  }
  const tasks = [
    () => driver.extend(volumeId, 16 * mib),
    () => driver.create(copy, 8 * mib, origin, signal),
    () => driver.copyOut(volumeId, { path: join(root, copy), diskFormat: "raw", take: origin.take }, signal),
    () => driver.open(volumeId),
    () => driver.unmanaged.leave(volumeId, "x"),
  ]
  // Which their senders try again.
  const ends = [() => driver.setAside(volumeId), () => driver.delete(volumeId)]
  {
    await using guest = new Guest(volume)
    await guest.does("write -P 3 0 64k", /wrote 65536/)
    for (const task of tasks) await assert.rejects(task(), agentVolumeConnected.is)
    for (const end of ends) await assert.rejects(end(), agentVolumeBusy.is)
    assert.equal(existsSync(join(root, copy)), false)
    await guest.does("flush", /qemu-io>/)
  }
  assert.equal((await driver.create(copy, 8 * mib, origin, signal)).sizeBytes, 8 * mib)
  assert.equal((await driver.extend(volumeId, 16 * mib)).sizeBytes, 16 * mib)
  assert.match(await io(volume, "read -P 3 0 64k", "write 12M 1M", "length"), /16 MiB/)
  const opened = await driver.open(volumeId)
  assert.ok(opened.kind === "file" && (!isRoot || statSync(opened.path).uid === 0))
  await assert.rejects(io(volume, "read 0 512"), /login|log in|not found|Failed/i, "it is this host's now")
  await given(volumeId, "host2", 5)
  await driver.delete(volumeId)
  assert.equal(await driver.inspect(volumeId), null)
  await assert.rejects(
    driver.exports.connect(volumeId, { host: "host2", fence: fence(6) }),
    agentVolumeNotFound.is,
  )
})

test("whoever must have it no more is cut off", async () => {
  const volumeId = await made()
  const volume = await given(volumeId, "host2", 1)
  await using guest = new Guest(volume)
  await guest.does("write -P 1 0 64k", /wrote 65536/)
  for (const _ of [1, 2]) await open().exports.disconnect(volumeId, fence(1))
  const next = await given(volumeId, "host3", 2)
  // It waits for the target to let it in again.
  guest.say("write -P 9 0 64k")
  assert.match(await io(next, "read -P 1 0 64k"), /read 65536/)
  guest.kill()
})

test("tgtd is killed while a guest writes: what was flushed is there, and the guest goes on", async () => {
  const [volumeId, other] = [await made(), await made()]
  const volume = await given(volumeId, "host2", 1)
  const others = await given(other, "host3", 1)
  await io(others, "write -P 5 0 64k", "flush")
  await using guest = new Guest(volume)
  await guest.does("write -P 4 0 1M", /wrote 1048576/)
  await guest.does("flush", /qemu-io>/)
  const { pid } = tgtd()
  process.kill(pid ?? assert.fail("tgtd runs"), "SIGKILL")
  guest.say("write -P 6 1M 1M")
  const data = readFileSync(join(root, "host1", volumeId, "volume.raw"))
  assert.ok(data.subarray(0, mib).every((byte) => byte === 4))
  await eventually("tgtd to be back", () => tgtd().state === "running" && tgtd().pid !== pid)
  await guest.does("read -P 6 1M 1M", /read 1048576/)
  assert.match(await io(others, "read -P 5 0 64k"), /read 65536/)
})

test("what is logged in calls itself names no other target, whatever is in it", async () => {
  const [own, victim] = [await made(), await made()]
  const told = await open().exports.connect(own, { host: "host2", fence: fence(1) })
  const theirs = await given(victim, "host3", 1)
  assert.ok(theirs.kind === "iscsi")
  const forged = [`x\nTarget 9: ${theirs.target}`, "      Initiator: somebody", "Target 2147483647: x"].join(
    "\n",
  )
  const socket = await logInByIscsi(told, forged)
  try {
    // Nobody has the victim open, so it is taken off its host, who gets in no more, and goes to another one.
    await open().exports.disconnect(victim, fence(1))
    await assert.rejects(io(theirs, "read 0 512"), /login|log in|not found|Failed/i)
    await io(await given(victim, "host4", 2), "read 0 512")
    await io(await given(await made(), "host4", 1), "read 0 512")
  } finally {
    socket.destroy()
  }
})

test("tgtd starts again while a volume is copied: nobody logs in before that is over", async () => {
  const [volumeId, copy] = [await made(), newUuid()]
  const volume = await given(volumeId, "host2", 1)
  const take = async ({ copyStill }: { copyStill: () => Promise<void> }) => {
    await killTgtd()
    await assert.rejects(io(volume, "write 0 64k"), /login|log in|not found|Failed/i)
    await copyStill()
  }
  await open().create(copy, 8 * mib, { kind: "volume", volumeId, take }, signal)
  await io(volume, "write 0 64k")
})

test("of a volume that cannot be given the others have nothing to suffer", async () => {
  const [broken, whole] = [await made(), await made()]
  await given(broken, "host2", 1)
  const volume = await given(whole, "host2", 1)
  writeFileSync(join(root, "host1", broken, "export.json"), "{")
  await killTgtd()
  await io(volume, "read 0 512")
  await agentStartsAgain()
  await io(volume, "read 0 512")
  await rm(join(root, "host1", broken), { recursive: true })
})

test("an agent that was killed in the middle leaves nothing in tgtd that counts", async () => {
  const [half, left] = [await made(), await made()]
  const volume = await given(half, "host2", 1)
  const gone = await given(left, "host2", 1)
  // It was about to make the one, and had forgotten the other one.
  const tell = (...words: string[]) =>
    exec("tgtadm", ["--lld", "iscsi", "--mode", "target", ...words], {
      ...(user ?? {}),
      env: { ...process.env, TGT_IPC_SOCKET: join(root, "tgt/ctl") },
    })
  assert.ok(volume.kind === "iscsi" && gone.kind === "iscsi")
  await open().exports.disconnect(half, fence(1))
  await tell("--op", "new", "--tid", "900", "--targetname", volume.target)
  writeFileSync(
    join(root, "host1", half, "export.json"),
    JSON.stringify({ fence: fence(2), host: "host2", initiator: volume.initiator, secret: "0".repeat(48) }),
  )
  await rm(join(root, "host1", left, "export.json"))
  await agentStartsAgain()
  await io(await given(half, "host2", 3), "read 0 512")
  await assert.rejects(io(gone, "read 0 512"), /login|log in|not found|Failed/i)
  await io(await given(left, "host3", 2), "read 0 512")
})

test("an agent starts again while a guest writes, who goes on", async () => {
  const volumeId = await made()
  await using guest = new Guest(await given(volumeId, "host2", 1))
  await guest.does("write -P 4 0 1M", /wrote 1048576/)
  await agentStartsAgain()
  await guest.does("write -P 5 1M 1M", /wrote 1048576/)
  await guest.does("flush", /qemu-io>/)
  const data = readFileSync(join(root, "host1", volumeId, "volume.raw"))
  assert.deepEqual([data[0], data[mib]], [4, 5])
})

test("the secret is in files of this process alone, and in no command line", async () => {
  const volumeId = await made()
  const { secret } = await open().exports.connect(volumeId, { host: "host2", fence: fence(1) })
  const reached = await open("host2").exports.reach(
    volumeId,
    async () => await open().exports.connect(volumeId, { host: "host2", fence: fence(1) }),
  )
  assert.ok(reached.kind === "iscsi")
  for (const file of [
    join(root, "host1", volumeId, "export.json"),
    join(root, "host2/reached", volumeId),
    reached.keyFile,
  ])
    assert.equal(statSync(file).mode & 0o777, 0o600, file)
  const lines = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8")
      } catch {
        return ""
      }
    })
  assert.ok(!lines.some((line) => line.includes(secret)))
  const away = async (): Promise<VolumeConnection> => {
    throw new Fault("unavailable", "test.away", "the cloud is away")
  }
  assert.deepEqual(await open("host2").exports.reach(volumeId, away), reached, "as it was told before")
  await assert.rejects(open("host3").exports.reach(volumeId, away), /the cloud is away/)
  await open("host2").exports.forgetReached((id) => id !== volumeId)
  assert.equal(existsSync(reached.keyFile), false)
})

test("tgtd is nobody who may do anything", { skip: !isRoot }, async () => {
  const { pid } = tgtd()
  const facts = readFileSync(`/proc/${pid}/status`, "utf8")
  assert.match(facts, /^Uid:\s+65534\s+65534\s+65534\s+65534$/m)
  assert.match(facts, /^Groups:\s*$/m)
  assert.match(facts, /^NoNewPrivs:\s+1$/m)
  for (const set of ["Inh", "Prm", "Eff", "Bnd", "Amb"])
    assert.match(facts, new RegExp(`^Cap${set}:\\s+0{16}$`, "m"))
})

test("one that outlived its cloud is found by its name", () => {
  assert.deepEqual(tgtdEngineNames(join(root, "run")), ["tgtd-san"])
  assert.deepEqual(tgtdEngineNames(join(root, "nowhere")), [])
  writeFileSync(join(root, "run/engines/postgres.json"), "{}")
  assert.deepEqual(tgtdEngineNames(join(root, "run")), ["tgtd-san"])
})
