// Whether a machine lets its user in: the last of the points that a boot is measured to.
import { readFileSync } from "node:fs"
import { createConnection } from "node:net"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { run } from "./command.ts"

export interface SshKey {
  privateKeyFile: string
  publicKey: string
}

export async function makeKey(directory: string): Promise<SshKey> {
  const privateKeyFile = join(directory, "key")
  await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", privateKeyFile])
  return { privateKeyFile, publicKey: readFileSync(`${privateKeyFile}.pub`, "utf8").trim() }
}

const options = [
  "BatchMode=yes",
  "StrictHostKeyChecking=no",
  "UserKnownHostsFile=/dev/null",
  "LogLevel=ERROR",
  "ConnectTimeout=5",
]
const knockEveryMs = 20

/** Returns when `ssh … hostname` was answered with `hostname`. Throws when that takes too long. */
export async function untilSsh(
  key: SshKey,
  address: string,
  hostname: string,
  until: { deadlineMs: number },
): Promise<void> {
  let last: unknown = "port 22 stayed closed"
  while (performance.now() < until.deadlineMs) {
    if (await isOpen(address)) {
      const args = [...options.flatMap((option) => ["-o", option]), "-i", key.privateKeyFile]
      try {
        const said = (
          await run("ssh", [...args, `cirros@${address}`, "hostname"], { timeoutMs: 20_000 })
        ).trim()
        if (said === hostname) return
        last = `it is called ${said}`
      } catch (error) {
        last = error
      }
    }
    await delay(knockEveryMs)
  }
  throw new Error(`no ssh to ${hostname} at ${address}: ${last}`)
}

const openWithinMs = 250

/** An attempt is short: a lost packet is sent again late. */
function isOpen(address: string): Promise<boolean> {
  return new Promise((done) => {
    const socket = createConnection({ host: address, port: 22 })
    const end = (answer: boolean) => {
      socket.destroy()
      clearTimeout(timer)
      done(answer)
    }
    const timer = setTimeout(() => end(false), openWithinMs)
    socket.once("connect", () => end(true))
    socket.once("error", () => end(false))
  })
}
