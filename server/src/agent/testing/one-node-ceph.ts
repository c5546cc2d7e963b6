// A real Ceph for tests: one monitor, one manager, one OSD on a file, in a directory of its own and on 127.0.0.1. It
// takes some 15 seconds to start, and 400 MB of memory.

import { once } from "node:events"
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { type AddressInfo, createServer } from "node:net"
import { join } from "node:path"
import { eventually } from "../../platform/clock/clock.ts"
import { exec } from "../../platform/exec/exec.ts"
import { endProcess, identifyProcess } from "../../platform/exec/process.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import type { CephAccess } from "../volumes/ceph.ts"

export interface OneNodeCeph extends AsyncDisposable {
  readonly access: CephAccess
  rbd(...args: string[]): Promise<string>
  /** As when the machine is cut off: programs wait for it. */
  halt(isHalted: boolean): void
}

const startTimeoutMs = 60_000

export async function startCeph(directory: string): Promise<OneNodeCeph> {
  const port = await freePort()
  const at = (name: string) => join(directory, name)
  for (const name of ["mon", "mgr", "osd", "run", "log"]) mkdirSync(at(name), { recursive: true })
  const configFile = at("ceph.conf")
  const keyring = at("keyring")
  const fsid = newUuid()
  writeFileSync(configFile, configOf({ directory, fsid, port }))
  const env = { ...process.env, CEPH_ARGS: undefined }
  const run = async (program: string, args: string[], input = "") =>
    (await exec(program, ["-c", configFile, ...args], { timeoutMs: startTimeoutMs, input, env })).stdout
  const stop = async () => {
    for (const name of readdirSync(at("run")).filter((each) => each.endsWith(".pid"))) {
      const identity = identifyProcess(Number(readFileSync(join(at("run"), name), "utf8")))
      if (identity) await endProcess(identity, { graceMs: 10_000 })
    }
  }
  try {
    const all = "allow *"
    const addKey = (name: string, caps: string[], file = keyring) =>
      exec("ceph-authtool", [
        ...(existsSync(file) ? [] : ["--create-keyring"]),
        file,
        "--gen-key",
        "-n",
        name,
        ...caps,
      ])
    await addKey("mon.", ["--cap", "mon", all])
    await addKey("client.admin", ["--cap", "mon", all, "--cap", "osd", all, "--cap", "mgr", all])
    await addKey("mgr.a", ["--cap", "mon", "allow profile mgr", "--cap", "osd", all])
    const monmap = at("monmap")
    await exec("monmaptool", ["--create", "--addv", "a", `[v1:127.0.0.1:${port}]`, "--fsid", fsid, monmap])
    const mon = ["-i", "a", "--mon-data", at("mon")]
    await run("ceph-mon", ["--mkfs", ...mon, "--monmap", monmap, "--keyring", keyring])
    await run("ceph-mon", mon)
    await run("ceph-mgr", ["-i", "a", "--mgr-data", at("mgr")])
    const key = (await exec("ceph-authtool", ["--gen-print-key"])).stdout.trim()
    const osd = newUuid()
    const id = (
      await run("ceph", ["osd", "new", osd, "-i", "-"], JSON.stringify({ cephx_secret: key }))
    ).trim()
    const osdKeyring = join(at("osd"), "keyring")
    await exec("ceph-authtool", ["--create-keyring", osdKeyring, "-n", `osd.${id}`, "--add-key", key])
    const data = ["-i", id, "--osd-data", at("osd"), "--keyring", osdKeyring]
    await run("ceph-osd", [...data, "--mkfs", "--osd-uuid", osd])
    await run("ceph-osd", data)
    const isUp = async () => /1 up/.test(await run("ceph", ["osd", "stat"]))
    await eventually("the OSD to be up", isUp, { timeoutMs: startTimeoutMs, intervalMs: 500 })
    await run("ceph", ["osd", "pool", "create", "volumes", "8"])
    await run("rbd", ["pool", "init", "volumes"])
    // With the rights that the documentation asks for.
    const userKeyring = at("kumoi.keyring")
    const rights = [
      "mon",
      "profile rbd",
      "mgr",
      "profile rbd pool=volumes",
      "osd",
      "profile rbd pool=volumes",
    ]
    await run("ceph", ["auth", "get-or-create", "client.kumoi", ...rights, "-o", userKeyring])
    const access = { pool: "volumes", user: "kumoi", keyringFile: userKeyring, configFile }
    const hasRoom = async () => /"max_avail":[1-9]/.test(await run("ceph", ["df", "--format", "json"]))
    await eventually("the pool to say its room", hasRoom, { timeoutMs: startTimeoutMs, intervalMs: 500 })
    return {
      access,
      rbd: async (...args) => await run("rbd", args),
      halt: (isHalted) => {
        for (const name of readdirSync(at("run")).filter((each) => each.endsWith(".pid")))
          process.kill(Number(readFileSync(join(at("run"), name), "utf8")), isHalted ? "SIGSTOP" : "SIGCONT")
      },
      [Symbol.asyncDispose]: stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

function configOf({ directory, fsid, port }: { directory: string; fsid: string; port: number }): string {
  const lines: Record<string, string> = {
    fsid,
    "mon host": `[v1:127.0.0.1:${port}]`,
    "public network": "127.0.0.0/8",
    "auth cluster required": "cephx",
    "auth service required": "cephx",
    "auth client required": "cephx",
    "osd pool default size": "1",
    "osd pool default min size": "1",
    "osd crush chooseleaf type": "0",
    "mon allow pool size one": "true",
    "run dir": `${directory}/run`,
    "admin socket": `${directory}/run/$name.asok`,
    "log file": `${directory}/log/$name.log`,
    "pid file": `${directory}/run/$name.pid`,
    keyring: `${directory}/keyring`,
    "ms bind msgr2": "false",
    "osd memory target": "939524096",
    "bluestore block size": "8589934592",
    "osd objectstore": "bluestore",
  }
  return `[global]\n${Object.entries(lines)
    .map(([key, value]) => `${key} = ${value}\n`)
    .join("")}`
}
