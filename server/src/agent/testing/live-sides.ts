// Two hosts for a guest that goes from one to the other: two drivers, each with a directory of its own, and streams
// between them.
import { once } from "node:events"
import { type AddressInfo, connect, createServer, type Socket } from "node:net"
import type { Duplex } from "node:stream"
import { eventually } from "../../platform/clock/clock.ts"
import type { LiveStreams, SendLiveHow, VmHandle } from "../hypervisor/hypervisor.ts"
import type { QemuHypervisor } from "../hypervisor/qemu/qemu.ts"
import { runDirectory } from "../hypervisor/qemu/run-directory.ts"
import { makeTinyDriver, type TinyDriver } from "./tiny-driver.ts"
import { typeOnSerial } from "./tiny-guest.ts"

export interface Side {
  tiny: TinyDriver
  driver: QemuHypervisor
}

export async function makeSide(): Promise<Side> {
  const tiny = await makeTinyDriver()
  return { tiny, driver: tiny.open() }
}

export const logOf = ({ driver }: Side, handle: VmHandle) => driver.consoleLog(handle, null)
export const says = (side: Side, handle: VmHandle, words: string) =>
  eventually(words, async () => (await logOf(side, handle)).includes(words), { timeoutMs: 120_000 })
export const typeIn = ({ tiny }: Side, { serverId }: VmHandle, line: string) =>
  typeOnSerial(runDirectory(tiny.vmsDir, serverId).serialSocket, line)

/** By name, for the one that sends and the one that receives. */
export async function pairs(names: readonly string[]): Promise<[LiveStreams, LiveStreams]> {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  const sides: [Record<string, Duplex>, Record<string, Duplex>] = [{}, {}]
  for (const name of names) {
    const accepted = once(server, "connection")
    sides[0][name] = connect(port, "127.0.0.1")
    sides[1][name] = (await accepted)[0] as Socket
    for (const side of sides) side[name]?.on("error", () => {})
  }
  server.close()
  return sides
}

export const never = () => new AbortController().signal
export const howOf = (change: Partial<SendLiveHow> = {}): SendLiveHow => ({
  ...{ downtimeMs: 300, timeoutMs: 300_000, signal: never() },
  ...change,
})
