// Streams that a guest travels by while it runs. QEMU gets none of them: it is shown sockets in a directory of its own,
// which is there only while a guest is on its way.
import { chmodSync, chownSync } from "node:fs"
import { mkdir, rm } from "node:fs/promises"
import { createServer, type Server, Socket } from "node:net"
import { join } from "node:path"
import type { Duplex } from "node:stream"
import { eventually } from "../../../platform/clock/clock.ts"
import { joinStreams } from "../../../platform/streams/join.ts"
import type { EnsureInput } from "../hypervisor.ts"
import { type DiskFile, diskFiles } from "./disks.ts"
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

/** Another one than QEMU has made may be in the way of an agent that was killed. */
export async function makeLiveDirectory(path: string, owner: User): Promise<void> {
  await rm(path, { recursive: true, force: true })
  await mkdir(path, { recursive: true, mode: 0o711 })
  if (owner) chownSync(path, owner.uid, owner.gid)
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

const connectTimeoutMs = 10_000

/**
 * To a socket that QEMU has made, before anything of the guest has come: who has broken out of a guest is not in this
 * QEMU yet.
 */
export async function connectStream(path: string, stream: Duplex): Promise<void> {
  const socket = await eventually(
    "QEMU to listen",
    () =>
      new Promise<Socket | false>((done) => {
        const tried = new Socket()
        tried.once("connect", () => done(tried)).once("error", () => done(false))
        tried.connect(path)
      }),
    { timeoutMs: connectTimeoutMs, intervalMs: 10 },
  )
  joinStreams(socket, stream)
}

export const liveSocket = (directory: string, name: string) => join(directory, `${name}.sock`)
