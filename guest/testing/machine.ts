import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { readFile, rm } from "node:fs/promises"
import { createConnection, createServer } from "node:net"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { run } from "../run.ts"

export interface TestMachine {
  /** What the guest wrote to its serial port so far. */
  serial(): Promise<string>
  /** Waits for words on the serial port; throws with the end of the log when they do not come or the machine ends. */
  waitFor(words: string, timeoutMs: number): Promise<void>
  ssh(command: string): Promise<string>
  pressPowerButton(): Promise<void>
  waitForEnd(timeoutMs: number): Promise<void>
  kill(): Promise<void>
}

export interface MachineOptions {
  folder: string
  args: string[]
  /** For ssh; the guest's port 22 is forwarded from loopback. */
  privateKeyPath?: string
  /** More words for the user-mode network, as QEMU wants them. */
  network?: string
}

/** Starts a QEMU of the test's own under emulation, with no way out but one port on loopback. */
export async function startMachine({
  folder,
  args,
  privateKeyPath,
  network,
}: MachineOptions): Promise<TestMachine> {
  const port = await freePort()
  const serialPath = join(folder, "serial.log")
  const qmpPath = join(folder, "qmp.sock")
  // A second boot in the same folder must not be judged by what the first one wrote.
  await rm(serialPath, { force: true })
  const child = spawn(
    "qemu-system-x86_64",
    [
      ...["-nodefaults", "-machine", "pc", "-accel", "tcg", "-m", "128", "-display", "none", "-vga", "std"],
      ...[
        "-serial",
        `file:${serialPath}`,
        "-qmp",
        `unix:${qmpPath},server=on,wait=off`,
        "-device",
        "virtio-rng-pci",
      ],
      ...["-netdev", `user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:${port}-:22${network ?? ""}`],
      ...["-device", "virtio-net-pci,netdev=net0,romfile=", ...args],
    ],
    { stdio: ["ignore", "ignore", "inherit"] },
  )
  const ended = once(child, "exit")
  const serial = () => readFile(serialPath, "latin1").catch(() => "")
  return {
    serial,
    waitFor: (words, timeoutMs) => waitForWords(child, serial, words, timeoutMs),
    ssh: (command) =>
      run("ssh", [
        ...[
          "-i",
          privateKeyPath ?? "",
          "-p",
          String(port),
          "-o",
          "BatchMode=yes",
          "-o",
          "StrictHostKeyChecking=no",
        ],
        ...["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=20"],
        ...["cirros@127.0.0.1", command],
      ]),
    pressPowerButton: () => sendQmp(qmpPath, "system_powerdown"),
    async waitForEnd(timeoutMs) {
      const winner = await Promise.race([ended, sleep(timeoutMs, "late", { ref: false })])
      if (winner === "late") throw new Error(`the machine still runs:\n${(await serial()).slice(-1000)}`)
    },
    async kill() {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL")
      await ended
    },
  }
}

async function waitForWords(
  child: ChildProcess,
  serial: () => Promise<string>,
  words: string,
  timeoutMs: number,
): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (true) {
    const hasEnded = child.exitCode !== null || child.signalCode !== null
    const text = await serial()
    if (text.includes(words)) return
    if (hasEnded || Date.now() > deadline) {
      const why = hasEnded ? "the machine ended" : `nothing within ${timeoutMs} ms`
      throw new Error(`waiting for "${words}": ${why}; its log ends:\n${text.slice(-2000)}`)
    }
    await sleep(50)
  }
}

async function sendQmp(path: string, command: string): Promise<void> {
  const socket = createConnection(path)
  await once(socket, "data")
  socket.write('{"execute":"qmp_capabilities"}')
  await once(socket, "data")
  socket.write(JSON.stringify({ execute: command }))
  await once(socket, "data")
  socket.destroy()
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  if (address === null || typeof address === "string") throw new Error("no port")
  return address.port
}
