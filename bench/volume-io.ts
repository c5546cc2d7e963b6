// What a guest gets of a volume: it writes and reads by itself as soon as it has booted, says on its console how long
// that took, and the same guest does the same with the same file under the bare QEMU.
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { recipeOf } from "./bare-machine.ts"
import { call, type Session } from "./client.ts"
import type { BenchCloud } from "./cloud.ts"
import { run } from "./command.ts"
import type { Held } from "./held.ts"
import { findQemu } from "./processes.ts"
import { median, type Report } from "./report.ts"
import { until, untilStatus } from "./wait.ts"

/** By which the guest finds it: no other disk of its is so large. */
const volumeGib = 3
const sectorsPerGib = 2 ** 21
const rounds = 5
const lookEveryMs = 200

const jobs = {
  "sequential writes, flushed": "dd if=/dev/zero of=$d bs=1M count=128 conv=fsync",
  "sequential reads": "dd if=$d of=/dev/null bs=1M count=128 iflag=direct",
  "4 KiB writes": "dd if=/dev/zero of=$d bs=4k count=1000 oflag=direct",
  "4 KiB reads, each elsewhere":
    "n=0; while [ $n -lt 200 ]; do dd if=$d of=/dev/null bs=4k count=1 skip=$((n * 7919 % 262144)) iflag=direct; n=$((n + 1)); done",
} as const
type Job = keyof typeof jobs
const names = Object.keys(jobs) as Job[]

const doneWord = "bench-io done"

const script = `#!/bin/sh
for b in /sys/block/vd*; do [ "$(cat $b/size)" = ${volumeGib * sectorsPerGib} ] && d=/dev/\${b##*/}; done
now() { cut -d' ' -f1 /proc/uptime; }
dd if=/dev/zero of=$d bs=1M count=1024 2>/dev/null
sync
for round in $(seq ${rounds}); do
${names.map((name, n) => `a=$(now); { ${jobs[name]}; } 2>/dev/null; echo "bench-io ${n} $a $(now)"`).join("\n")}
done
echo "${doneWord}"
`

export async function measureGuestIo(
  report: Report,
  held: Held,
  {
    cloud,
    session,
    directory,
    server,
  }: { cloud: BenchCloud; session: Session; directory: string; server: Record<string, unknown> },
): Promise<void> {
  const volume = {
    ...{ source_type: "blank", destination_type: "volume", volume_size: volumeGib, boot_index: -1 },
  }
  const root = { source_type: "image", uuid: server.imageRef, destination_type: "local", boot_index: 0 }
  const made = await call<{ server: { id: string } }>(session, "POST", "/compute/v2.1/servers", {
    server: {
      ...server,
      ...{ name: "io", config_drive: true, user_data: Buffer.from(script).toString("base64") },
      block_device_mapping_v2: [root, volume],
    },
  })
  const path = `/compute/v2.1/servers/${made.server.id}`
  await untilStatus(session, path, "server", "ACTIVE")
  const ask = { "os-getConsoleOutput": {} }
  const console = async () => (await call<{ output: string }>(session, "POST", `${path}/action`, ask)).output
  const ofCloud = await timesIn(console)
  const recipe = await recipeOf(made.server.id)
  const { pid } = findQemu(made.server.id)
  const attached = await call<{ volumeAttachments: { volumeId: string }[] }>(
    session,
    "GET",
    `${path}/os-volume_attachments`,
  )
  const file = join(
    cloud.dataDir,
    "agent/volumes/file",
    attached.volumeAttachments[0]?.volumeId ?? "",
    "volume.raw",
  )
  await call(session, "POST", `${path}/action`, { "os-stop": null })
  await until(`QEMU ${pid} to end`, async () => {
    const { status } = (await call<{ server: { status: string } }>(session, "GET", path)).server
    return status === "SHUTOFF"
  })
  const ofBare = await bareTimes(held, { directory, recipe, file })
  for (const name of names) {
    const [ours, bare] = [ofCloud[name], ofBare[name]]
    report.add(`volume in the guest, ${name}`, [
      { name: "time against the bare QEMU", value: median(ours) / median(bare), unit: "x", target: 1 / 0.95 },
      { name: "ours", value: median(ours), unit: "s" },
      { name: "bare", value: median(bare), unit: "s" },
    ])
  }
}

async function bareTimes(
  held: Held,
  {
    directory,
    recipe,
    file,
  }: { directory: string; recipe: Awaited<ReturnType<typeof recipeOf>>; file: string },
): Promise<Record<Job, number[]>> {
  const own = held.scope()
  const [disk, console, config] = ["io.qcow2", "io.log", "io.iso"].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ]
  const tree = join(directory, "io-config")
  const latest = join(tree, "openstack/latest")
  mkdirSync(latest, { recursive: true })
  const metadata = { uuid: "00000000-0000-4000-8000-000000000001", name: "bare", hostname: "bare" }
  writeFileSync(join(latest, "meta_data.json"), JSON.stringify(metadata))
  writeFileSync(join(latest, "user_data"), script)
  await run("genisoimage", ["-quiet", "-o", config, "-V", "config-2", "-J", "-r", tree])
  rmSync(console, { force: true })
  const overlay = ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", recipe.imageFile, disk]
  await run("qemu-img", [...overlay, String(recipe.diskBytes)])
  const drive = (what: string, id: string) => [
    ...["-drive", `${what},if=none,id=${id}`, "-device", `virtio-blk-pci,drive=${id}`],
  ]
  let qemu: ChildProcess | undefined
  own.defer(async () => {
    if (!qemu || qemu.exitCode !== null || qemu.signalCode !== null) return
    const ended = once(qemu, "exit")
    qemu.kill("SIGKILL")
    await ended
  })
  qemu = spawn(
    "qemu-system-x86_64",
    [
      ...["-nodefaults", "-no-user-config", ...recipe.options],
      ...["-display", "none", "-vga", "std", "-serial", `file:${console}`],
      ...drive(`file=${disk},format=qcow2`, "root"),
      ...drive(`file=${file},format=raw,cache=none,discard=unmap`, "volume"),
      ...drive(`file=${config},format=raw,readonly=on`, "config"),
    ],
    { stdio: ["ignore", "ignore", "inherit"], detached: true },
  )
  const times = await timesIn(async () => {
    try {
      return readFileSync(console, "latin1")
    } catch {
      return ""
    }
  })
  await own[Symbol.asyncDispose]()
  return times
}

/** Seconds of each round, when all are done. */
async function timesIn(console: () => Promise<string>): Promise<Record<Job, number[]>> {
  let said = ""
  await until(
    "the guest to write and read",
    async () => {
      said = await console()
      return said.includes(doneWord)
    },
    lookEveryMs,
  )
  const lines = [...said.matchAll(/bench-io (\d) ([\d.]+) ([\d.]+)/g)]
  const of = (n: number) =>
    lines.filter(([, job]) => Number(job) === n).map(([, , from, to]) => Number(to) - Number(from))
  const times = Object.fromEntries(names.map((name, n) => [name, of(n)])) as Record<Job, number[]>
  for (const name of names)
    if (times[name].length !== rounds)
      throw new Error(`the guest says nothing of ${name}:\n${said.slice(-2_000)}`)
  return times
}
