// Streams that a guest travels by while it runs. QEMU gets none of them: it is shown sockets in a directory of its own,
// which is there only while a guest is on its way.
import { chmodSync, chownSync, lstatSync, readFileSync } from "node:fs"
import { mkdir, rm } from "node:fs/promises"
import { createServer, type Server, Socket } from "node:net"
import { join } from "node:path"
import type { Duplex } from "node:stream"
import { finished } from "node:stream/promises"
import { eventually } from "../../../platform/clock/clock.ts"
import { joinStreams } from "../../../platform/streams/join.ts"
import type { EnsureInput, LiveStreams } from "../hypervisor.ts"
import { type DiskFile, diskFiles } from "./disks.ts"
import { linkOf, namesIn } from "./reach.ts"
import type { RunDirectory } from "./run-directory.ts"

export type User = { uid: number; gid: number } | null

/** Of the guest's memory and devices. */
export const memoryStream = "memory"
/** Of the file of its config drive, which is sent before everything else. */
export const configStream = "config-drive"

/** Has a disk of its own that must go along: what is on a volume, or an image that is only read, is there already. */
export function goesAlong(file: DiskFile): boolean {
  return file.disk.source.kind !== "volume" && !file.isCdrom
}

export function liveStreamsOf(directory: RunDirectory, input: EnsureInput): string[] {
  const disks = diskFiles(directory, input).filter(goesAlong)
  const config = input.spec.configDrive ? [configStream] : []
  return [memoryStream, ...config, ...disks.map(({ disk }) => disk.name)]
}

/**
 * With an owner it is QEMU's, to make its sockets there, until `lockLiveDirectory`. All guests of a host have one user:
 * whoever has broken out of another one must find nothing there.
 */
export async function makeLiveDirectory(path: string, owner: User): Promise<void> {
  await removeLiveDirectory(path)
  await mkdir(path, { recursive: true, mode: owner ? 0o700 : 0o711 })
  if (owner) chownSync(path, owner.uid, owner.gid)
}

/** Nobody else enters it, or changes what is in it, from now on. */
function lockLiveDirectory(path: string): void {
  if (process.getuid?.() === 0) chownSync(path, 0, 0)
  chmodSync(path, 0o700)
}

/** One of an agent that was killed may be the guests' still. */
export async function removeLiveDirectory(path: string): Promise<void> {
  try {
    lockLiveDirectory(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error
  }
  await rm(path, { recursive: true, force: true })
}

/** QEMU makes a socket in its directory; afterwards it is this process's alone, and is the one that QEMU has made. */
export async function letListen(
  directory: string,
  { path, pid, owner }: { path: string; pid: number; owner: User },
  listen: () => Promise<void>,
): Promise<void> {
  if (owner) chownSync(directory, owner.uid, owner.gid)
  await listen()
  lockLiveDirectory(directory)
  if (!lstatSync(path).isSocket() || !isSocketOf(path, pid))
    throw new Error(`${path} is not QEMU's socket, or somebody else was there first`)
}

/**
 * The kernel's word: the process has the socket open that is bound to this path, and nobody has connected to it: the
 * other end of a connection has the same path.
 */
function isSocketOf(path: string, pid: number): boolean {
  // As its network namespace has them: the taps may lie in another one than this process.
  const inodes = readFileSync(`/proc/${pid}/net/unix`, "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[7] === path)
    .map((fields) => `socket:[${fields[6]}]`)
  if (inodes.length !== 1) return false
  const open = `/proc/${pid}/fd`
  return namesIn(open).some((name) => linkOf(`${open}/${name}`) === inodes[0])
}

/** Until the other side has said something: QEMU, which waits in its main loop for it, must not be kept waiting. */
export async function untilReadable(stream: Duplex, signal: AbortSignal): Promise<void> {
  if (stream.readableLength > 0) return
  await new Promise<void>((done, fail) => {
    const end = (error?: unknown) => {
      stream.off("readable", ready).off("end", lost).off("close", lost)
      signal.removeEventListener("abort", aborted)
      if (error === undefined) done()
      else fail(error)
    }
    const lost = () => end(new Error("the stream has ended"))
    const aborted = () => end(signal.reason)
    // Of one that has ended, which is known when it is read.
    const ready = () => (stream.readableLength > 0 ? end() : void stream.read(0))
    stream.on("readable", ready).once("end", lost).once("close", lost)
    signal.addEventListener("abort", aborted, { once: true })
    if (signal.aborted) aborted()
    else if (stream.destroyed) lost()
  })
}

/** A socket at which QEMU, having given up root, finds the stream; once. */
export async function offerStream(path: string, stream: Duplex, owner: User): Promise<Disposable> {
  const server: Server = createServer((socket) => {
    server.close()
    joinStreams(socket, stream)
  })
  await new Promise<void>((done, fail) => server.once("error", fail).listen(path, done))
  if (owner) chownSync(path, owner.uid, owner.gid)
  chmodSync(path, 0o600)
  return { [Symbol.dispose]: () => void server.close() }
}

/**
 * Until all that QEMU has written has left this process: QEMU is done before that, and who closes the stream then cuts
 * the end off. One that the other side has closed has brought it all, or the other side says that it has not.
 */
export async function untilSent(stream: Duplex, timeoutMs: number): Promise<void> {
  const signal = AbortSignal.timeout(timeoutMs)
  await finished(stream, { readable: false, signal }).catch(() => {})
}

const connectTimeoutMs = 10_000

/** To a socket that QEMU has made. */
export async function openSocket(path: string): Promise<Socket> {
  return await eventually(
    "QEMU to listen",
    () =>
      new Promise<Socket | false>((done) => {
        const tried = new Socket()
        tried.once("connect", () => done(tried)).once("error", () => done(false))
        tried.connect(path)
      }),
    { timeoutMs: connectTimeoutMs, intervalMs: 10 },
  )
}

export const liveSocket = (directory: string, name: string) => join(directory, `${name}.sock`)

export function streamOf(streams: LiveStreams, name: string): Duplex {
  const stream = streams[name]
  if (!stream) throw new Error(`there is no stream for ${name}`)
  return stream
}
