// The same machine without a cloud: QEMU called as one would by hand, with the image, memory, processor and accelerator
// that the cloud's own QEMU was given, on a tap of its own. It learns its name, key and address from a config drive.
import { type ChildProcess, spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { once } from "node:events"
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { type BootTimes, bootWithinMs, readyWord } from "./boot.ts"
import { run } from "./command.ts"
import type { Held } from "./held.ts"
import { findQemu, processorMsOf } from "./processes.ts"
import { type SshKey, untilSsh } from "./ssh.ts"

export interface Recipe {
  /** -machine, -accel, -cpu, -smp and -m as the cloud has them. */
  options: string[]
  imageFile: string
  diskBytes: number
}

const alike = ["-machine", "-accel", "-cpu", "-smp", "-m"]

/** What the cloud calls QEMU with for that server, read from the process itself. */
export async function recipeOf(serverId: string): Promise<Recipe> {
  const { words: line } = findQemu(serverId)
  const after = (option: string) => line.flatMap((word, i) => (word === option ? [line[i + 1] ?? ""] : []))
  const options = alike.flatMap((option) => after(option).flatMap((value) => [option, value]))
  type Blockdev = { file: { filename: string }; backing?: { file: { filename: string } } }
  const disks: Blockdev[] = after("-blockdev").map((text) => JSON.parse(text))
  const root = disks.find((disk) => disk.backing)
  if (!root?.backing) throw new Error("the server's disk has no image below it")
  const info = await run("qemu-img", ["info", "-U", "--output", "json", root.file.filename])
  return { options, imageFile: root.backing.file.filename, diskBytes: JSON.parse(info)["virtual-size"] }
}

export interface BareNetwork {
  tap: string
  hostAddress: string
  guestAddress: string
  guestMac: string
}

/** A tap in this process's network namespace, with addresses that are for documents only. */
export async function makeBareNetwork(held: Held): Promise<BareNetwork> {
  const network = {
    tap: "bench0",
    hostAddress: "192.0.2.1",
    guestAddress: "192.0.2.2",
    guestMac: "52:54:00:00:02:02",
  }
  const { tap } = network
  held.defer(() => run("ip", ["link", "delete", tap]))
  await run("ip", ["tuntap", "add", "dev", tap, "mode", "tap"])
  await run("ip", ["addr", "add", `${network.hostAddress}/24`, "dev", tap])
  await run("ip", ["link", "set", tap, "up"])
  // Known from the start: Linux asks for an address only once a second, which would round every boot up.
  const guest = [network.guestAddress, "lladdr", network.guestMac, "dev", tap, "nud", "permanent"]
  await run("ip", ["neigh", "replace", ...guest])
  return network
}

const bareName = "bare"

export async function makeConfigDrive(directory: string, network: BareNetwork, key: SshKey): Promise<string> {
  const tree = join(directory, "config")
  const latest = join(tree, "openstack/latest")
  mkdirSync(latest, { recursive: true })
  const metadata = {
    uuid: randomUUID(),
    name: bareName,
    hostname: bareName,
    public_keys: { bench: key.publicKey },
  }
  writeFileSync(join(latest, "meta_data.json"), JSON.stringify(metadata))
  const networkData = {
    links: [{ id: "nic", type: "phy", ethernet_mac_address: network.guestMac, mtu: 1500 }],
    networks: [
      { id: "net", type: "ipv4", link: "nic", ip_address: network.guestAddress, netmask: "255.255.255.0" },
    ],
    services: [],
  }
  writeFileSync(join(latest, "network_data.json"), JSON.stringify(networkData))
  const file = join(directory, "config.iso")
  await run("genisoimage", ["-quiet", "-o", file, "-V", "config-2", "-J", "-r", tree])
  return file
}

export interface BareOptions {
  directory: string
  recipe: Recipe
  network: BareNetwork
  configDrive: string
  key: SshKey
}

/** One boot on a fresh disk. The time begins when QEMU is called. */
export async function bootBare(held: Held, options: BareOptions): Promise<BootTimes> {
  const { directory, recipe, network, key } = options
  const own = held.scope()
  const disk = join(directory, "disk.qcow2")
  const console = join(directory, "console.log")
  for (const file of [disk, console]) rmSync(file, { force: true })
  const overlay = ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", recipe.imageFile, disk]
  await run("qemu-img", [...overlay, String(recipe.diskBytes)])
  let qemu: ChildProcess | undefined
  own.defer(async () => qemu && (await kill(qemu)))
  const startedMs = performance.now()
  const sinceStart = () => performance.now() - startedMs
  qemu = spawn("qemu-system-x86_64", bareCommandLine(options, disk, console), {
    stdio: ["ignore", "ignore", "inherit"],
    detached: true,
  })
  const deadlineMs = startedMs + bootWithinMs
  const ready = untilReady(qemu, console, deadlineMs).then(sinceStart)
  const ssh = untilSsh(key, network.guestAddress, bareName, { deadlineMs }).then(sinceStart)
  const [readyMs, sshMs] = await Promise.all([ready, ssh])
  const qemuMs = processorMsOf(qemu.pid ?? 0)
  await own[Symbol.asyncDispose]()
  return { readyMs, sshMs, qemuMs }
}

function bareCommandLine(options: BareOptions, disk: string, console: string): string[] {
  const { recipe, network, configDrive } = options
  return [
    ...["-nodefaults", "-no-user-config", ...recipe.options, "-uuid", randomUUID()],
    ...["-display", "none", "-vga", "std", "-serial", `file:${console}`],
    ...[
      "-drive",
      `file=${disk},format=qcow2,if=none,id=root`,
      "-device",
      "virtio-blk-pci,drive=root,bootindex=1",
    ],
    ...["-drive", `file=${configDrive},format=raw,if=none,id=config,readonly=on`],
    ...["-device", "virtio-blk-pci,drive=config"],
    ...["-netdev", `tap,id=net0,ifname=${network.tap},script=no,downscript=no`],
    ...["-device", `virtio-net-pci,netdev=net0,mac=${network.guestMac},romfile=`],
    ...["-object", "rng-builtin,id=rng0", "-device", "virtio-rng-pci,rng=rng0"],
  ]
}

const lookEveryMs = 20

async function untilReady(qemu: ChildProcess, console: string, deadlineMs: number): Promise<void> {
  const said = () => {
    try {
      return readFileSync(console, "latin1")
    } catch {
      return ""
    }
  }
  while (!said().includes(readyWord + bareName)) {
    if (qemu.exitCode !== null || qemu.signalCode !== null) throw new Error(`QEMU ended early:\n${said()}`)
    if (performance.now() > deadlineMs) throw new Error(`the bare machine does not get ready:\n${said()}`)
    await delay(lookEveryMs)
  }
}

async function kill(qemu: ChildProcess): Promise<void> {
  if (qemu.exitCode !== null || qemu.signalCode !== null) return
  const ended = once(qemu, "exit")
  qemu.kill("SIGKILL")
  await ended
}
