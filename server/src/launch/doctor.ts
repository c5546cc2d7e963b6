// `kumoi doctor`: what this machine can do, what is missing, and the fix. Changes nothing.
import { existsSync } from "node:fs"
import { statfs } from "node:fs/promises"
import { freemem, tmpdir, totalmem } from "node:os"
import { join } from "node:path"
import { newestCloudKernel, probeAccelerator } from "../agent/hypervisor/qemu/accelerator.ts"
import { systemClock } from "../platform/clock/clock.ts"
import { describeError } from "../platform/fault/fault.ts"
import { probeNetwork } from "./engines/ovn-probe.ts"
import { hasPostgresBinaries } from "./engines/postgres.ts"
import { readMembership } from "./joined/membership.ts"
import { command, dataDirOf, dataOption, type OptionSpecs } from "./options.ts"
import { installCommand } from "./packages.ts"
import { missingForRealCloud } from "./plan.ts"

export interface Finding {
  what: string
  state: "good" | "limited" | "missing"
  text: string
  fix: string | null
}

const specs = { ...dataOption, json: { type: "boolean", help: "as JSON" } } as const satisfies OptionSpecs

const diskWantedBytes = 5 * 1024 ** 3
const memoryWantedBytes = 2 * 1024 ** 3

const about = {
  usage: "doctor [options]",
  what: "Says what this machine can do, what is missing, and the fix. Changes nothing.",
  specs,
}

export const doctor = command(about, async (options) => {
  const findings = await examine(dataDirOf(options))
  if (options.flag("json")) process.stdout.write(`${JSON.stringify(findings, null, 2)}\n`)
  else {
    const marks = { good: "ok  ", limited: "--  ", missing: "!!  " }
    for (const f of findings) {
      process.stdout.write(`${marks[f.state]}${f.what.padEnd(16)} ${f.text}\n`)
      if (f.fix) process.stdout.write(`${" ".repeat(21)}fix: ${f.fix}\n`)
    }
  }
  return findings.some((f) => f.state === "missing") ? 1 : 0
})

export async function examine(dataDir: string): Promise<Finding[]> {
  const isRoot = process.getuid?.() === 0
  const finding = (
    what: string,
    state: Finding["state"],
    text: string,
    fix: string | null = null,
  ): Finding => ({ what, state, text, fix })
  const missing = await missingForRealCloud().catch(() => [])
  const membership = readMembership(dataDir)
  return [
    finding("node", "good", `Node ${process.version} runs Kumoi`),
    membership
      ? finding("cloud", "good", `this is the host ${membership.name} of the cloud at ${membership.door}`)
      : hasPostgresBinaries()
        ? finding("postgresql", "good", "the packaged PostgreSQL is here")
        : finding(
            "postgresql",
            "missing",
            "the packaged PostgreSQL is not installed",
            "remove node_modules and run ./kumoi again",
          ),
    isRoot
      ? finding("root", "good", "real machines and networks can be made")
      : finding(
          "root",
          "limited",
          "not root: machines and networks are simulated",
          "run as root for real ones",
        ),
    missing.length === 0
      ? finding("packages", "good", "every Debian package that a real cloud needs is installed")
      : finding(
          "packages",
          isRoot ? "limited" : "missing",
          `missing: ${missing.map((p) => p.name).join(", ")}`,
          `${installCommand(missing)}${isRoot ? "  (./kumoi up does it)" : ""}`,
        ),
    await accelerator(dataDir),
    ...(await network()),
    await disk(dataDir),
    memory(),
  ]
}

async function accelerator(dataDir: string): Promise<Finding> {
  const what = "acceleration"
  if (!existsSync("/usr/bin/qemu-system-x86_64")) {
    return {
      what,
      state: "limited",
      text: "cannot be probed: QEMU is not installed",
      fix: "apt-get install qemu-system-x86",
    }
  }
  if (newestCloudKernel() === null) {
    return {
      what,
      state: "limited",
      text: "cannot be probed: no kernel to boot",
      fix: "apt-get install linux-image-cloud-amd64",
    }
  }
  try {
    const stateFile = existsSync(join(dataDir, "agent"))
      ? join(dataDir, "agent/accelerator.json")
      : join(tmpdir(), "kumoi-accelerator.json")
    const { accelerator: found, reason } = await probeAccelerator({ stateFile, clock: systemClock })
    if (found === "kvm")
      return { what, state: "good", text: "KVM works: a kernel was booted under it", fix: null }
    return {
      what,
      state: "limited",
      text: `guests are emulated (tcg): ${reason}`,
      fix: "enable virtualisation (nested, if this is a guest) for full speed",
    }
  } catch (error) {
    return { what, state: "limited", text: `probing failed: ${describeError(error)}`, fix: null }
  }
}

async function network(): Promise<Finding[]> {
  try {
    const { checks } = await probeNetwork()
    return checks.map((check) => ({
      what: check.name,
      state: check.isOk ? (check.fix === null ? "good" : "limited") : "missing",
      text: check.message,
      fix: check.fix,
    }))
  } catch (error) {
    return [{ what: "network", state: "limited", text: `probing failed: ${describeError(error)}`, fix: null }]
  }
}

async function disk(dataDir: string): Promise<Finding> {
  const at = existsSync(dataDir) ? dataDir : "."
  const { bavail, bsize } = await statfs(at)
  const free = bavail * bsize
  const text = `${(free / 1024 ** 3).toFixed(1)} GiB free where the data lie`
  if (free >= diskWantedBytes) return { what: "disk", state: "good", text, fix: null }
  return { what: "disk", state: "limited", text, fix: "free some room, or use --data on a larger disk" }
}

function memory(): Finding {
  const text = `${(freemem() / 1024 ** 3).toFixed(1)} GiB free of ${(totalmem() / 1024 ** 3).toFixed(1)} GiB`
  if (totalmem() >= memoryWantedBytes) return { what: "memory", state: "good", text, fix: null }
  return { what: "memory", state: "limited", text, fix: "2 GiB are needed for a cloud with a few guests" }
}
