// Which accelerator really runs guests. /dev/kvm being there proves nothing: on some nested hosts it opens and a
// stock kernel hangs at once. So a kernel is booted under it, with a time limit, and must speak on its serial
// console. The answer holds for this boot of the host and this QEMU.
import { accessSync, constants, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Clock } from "../../../platform/clock/clock.ts"
import { startDetached } from "../../../platform/exec/detach.ts"
import { exec } from "../../../platform/exec/exec.ts"
import { bootId, endProcess } from "../../../platform/exec/process.ts"
import { readStateFile, writeStateFile } from "../../state-file.ts"

export interface AcceleratorAnswer {
  accelerator: "kvm" | "tcg"
  reason: string
}

interface Remembered extends AcceleratorAnswer {
  bootId: string
  qemuVersion: string
  kernel: string | null
}

export interface ProbeOptions {
  /** The answer is kept here. */
  stateFile: string
  clock: Clock
  /** A kernel that speaks on ttyS0; default: the newest of Debian's cloud kernels in /boot. */
  kernel?: string
  kvmDevice?: string
  timeoutMs?: number
}

/** A kernel under working KVM prints its first line within a second; a busy host gets some more. */
const probeTimeoutMs = 8_000
const proof = "Linux version"

export async function probeAccelerator(options: ProbeOptions): Promise<AcceleratorAnswer> {
  const qemuVersion = await readQemuVersion()
  const kernel = options.kernel ?? newestCloudKernel()
  const known = readStateFile(options.stateFile) as Partial<Remembered> | undefined
  if (
    known?.accelerator &&
    known.bootId === bootId() &&
    known.qemuVersion === qemuVersion &&
    known.kernel === kernel
  ) {
    return { accelerator: known.accelerator, reason: known.reason ?? "" }
  }
  const answer = await probe(kernel, options)
  const remembered: Remembered = { ...answer, bootId: bootId(), qemuVersion, kernel }
  await writeStateFile(options.stateFile, remembered)
  return answer
}

async function probe(kernel: string | null, options: ProbeOptions): Promise<AcceleratorAnswer> {
  const device = options.kvmDevice ?? "/dev/kvm"
  const tcg = (reason: string): AcceleratorAnswer => ({ accelerator: "tcg", reason })
  if (!existsSync(device)) return tcg(`there is no ${device}`)
  try {
    accessSync(device, constants.R_OK | constants.W_OK)
  } catch {
    return tcg(`${device} may not be opened by this user (join the group kvm)`)
  }
  if (kernel === null) return tcg("there is no kernel to try KVM with (install linux-image-cloud-amd64)")
  const timeoutMs = options.timeoutMs ?? probeTimeoutMs
  const result = await bootKernel("kvm", kernel, timeoutMs, options.clock)
  if (result === "booted") return { accelerator: "kvm", reason: "a kernel booted under KVM" }
  if (result === "silent")
    return tcg(`${device} opens, but a kernel did not boot under it within ${timeoutMs} ms`)
  return tcg(`QEMU fails under KVM: ${result.refused}`)
}

/** Boots a kernel without a root disk until it speaks. Exported for its test, which does it under tcg. */
export async function bootKernel(
  accelerator: "kvm" | "tcg",
  kernel: string,
  timeoutMs: number,
  clock: Clock,
): Promise<"booted" | "silent" | { refused: string }> {
  const directory = mkdtempSync(join(tmpdir(), "kumoi-probe-"))
  const serial = join(directory, "serial.log")
  const output = join(directory, "qemu.log")
  const cpu = accelerator === "kvm" ? "host" : "max"
  const machine = ["-machine", "pc", "-accel", accelerator, "-cpu", cpu, "-m", "128", "-no-reboot"]
  const quiet = ["-nodefaults", "-no-user-config", "-display", "none", "-serial", `file:${serial}`]
  const boot = ["-kernel", kernel, "-append", "console=ttyS0 earlyprintk=ttyS0 panic=-1"]
  try {
    const qemu = await startDetached("qemu-system-x86_64", [...machine, ...quiet, ...boot], {
      outputFile: output,
    })
    let hasEnded = false
    void qemu.ended.then(() => {
      hasEnded = true
    })
    try {
      const endMs = clock.monotonicMs() + timeoutMs
      while (clock.monotonicMs() < endMs) {
        if (existsSync(serial) && readFileSync(serial, "latin1").includes(proof)) return "booted"
        if (hasEnded) return { refused: firstComplaint(readFileSync(output, "utf8")) }
        await clock.sleep(50)
      }
      return "silent"
    } finally {
      await endProcess(qemu.identity, { graceMs: 500 })
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** What follows the first line is where in QEMU's source it gave up. */
function firstComplaint(said: string): string {
  const [line = ""] = said.trim().split("\n")
  return line.replace(/^qemu-system-\w+: (error: )?/, "").slice(0, 200) || "it ended"
}

export function newestCloudKernel(directory = "/boot"): string | null {
  if (!existsSync(directory)) return null
  const kernels = readdirSync(directory).filter((name) => /^vmlinuz-.*-cloud-amd64$/.test(name))
  const newest = kernels.toSorted((a, b) => a.localeCompare(b, "en", { numeric: true })).at(-1)
  return newest === undefined ? null : join(directory, newest)
}

/** e.g. "7.2.22" */
export async function readQemuVersion(): Promise<string> {
  const { stdout } = await exec("qemu-system-x86_64", ["--version"])
  return /version (\d+\.\d+\.\d+)/.exec(stdout)?.[1] ?? "0.0.0"
}
