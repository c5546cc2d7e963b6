// Debian packages that the engines come from. Installed when they are missing: as root at once, else the command
// is shown.
import { chmodSync, existsSync, rmSync, writeFileSync } from "node:fs"
import { createInterface } from "node:readline/promises"
import { exec } from "../platform/exec/exec.ts"
import { Fault } from "../platform/fault/fault.ts"

export interface NeededPackage {
  name: string
  why: string
}

export const enginePackages = {
  qemu: [
    { name: "qemu-system-x86", why: "runs the machines" },
    { name: "qemu-utils", why: "makes and inspects disk images" },
    { name: "genisoimage", why: "makes config drives" },
    { name: "dosfstools", why: "formats disks of guests that want FAT" },
  ],
  guest: [
    { name: "linux-image-cloud-amd64", why: "kernel of the small guest image" },
    { name: "busybox-static", why: "userland of the small guest image" },
    { name: "dropbear-bin", why: "ssh server of the small guest image" },
    { name: "cpio", why: "packs the guest's initial RAM disk" },
    { name: "e2fsprogs", why: "makes the guest's file system" },
  ],
  ovn: [
    { name: "ovn-central", why: "network databases and northd" },
    { name: "ovn-host", why: "network controller of this host" },
    { name: "openvswitch-switch", why: "virtual switch" },
    { name: "haproxy", why: "metadata proxy in tenant networks" },
    { name: "iproute2", why: "namespaces, taps and addresses" },
    { name: "nftables", why: "address translation at the host" },
    { name: "ethtool", why: "checksum offload settings" },
  ],
} as const satisfies Record<string, readonly NeededPackage[]>

/** For guests with more than the ordinary; a host without them gets no such guest. */
export const guestHardwarePackages: readonly NeededPackage[] = [
  { name: "swtpm", why: "gives guests a TPM" },
  { name: "swtpm-tools", why: "makes the keys of a new one" },
  { name: "ovmf", why: "starts guests by UEFI" },
]

/** Of hosts whose configuration names such a back end of volumes. */
export const backEndPackages = {
  iscsi: [{ name: "qemu-block-extra", why: "lets machines reach volumes of other hosts" }],
  iscsiTarget: [
    { name: "tgt", why: "gives volumes to machines of other hosts" },
    { name: "socat", why: "speaks with it" },
  ],
  rbd: [
    { name: "ceph-common", why: "works on volumes of a Ceph" },
    { name: "qemu-block-extra", why: "lets machines reach them" },
  ],
} as const satisfies Record<string, readonly NeededPackage[]>

/** Of these, the ones that dpkg does not have installed. */
export async function missingPackages(wanted: readonly NeededPackage[]): Promise<NeededPackage[]> {
  const { stdout } = await exec(
    "dpkg-query",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own format
    ["-W", "-f", "${Package} ${db:Status-Status}\n", ...wanted.map((p) => p.name)],
    { okCodes: [0, 1] },
  )
  const installed = new Set(
    stdout
      .split("\n")
      .filter((l) => l.endsWith(" installed"))
      .map((l) => l.split(" ")[0]),
  )
  return wanted.filter((p) => !installed.has(p.name))
}

export function installCommand(packages: readonly NeededPackage[]): string {
  return `apt-get install --no-install-recommends ${packages.map((p) => p.name).join(" ")}`
}

export interface InstallOptions {
  say: (line: string) => void
  /** Do not ask. */
  isYes: boolean
}

/** Installs what is missing, saying which and why. Throws a fault with the way out when it may not or cannot. */
export async function installPackages(
  wanted: readonly NeededPackage[],
  options: InstallOptions,
): Promise<void> {
  const missing = await missingPackages(wanted)
  if (missing.length === 0) return
  options.say(`${missing.length} Debian packages are missing:`)
  for (const { name, why } of missing) options.say(`  ${name.padEnd(26)} ${why}`)
  if (process.getuid?.() !== 0) {
    throw new Fault(
      "precondition",
      "cli.packages_missing",
      `Install them with: sudo ${installCommand(missing)}\nOr start without them: ./kumoi up --hypervisor fake --network fake`,
    )
  }
  if (!options.isYes && process.stdin.isTTY && !(await confirm("Install them now? [Y/n] "))) {
    throw new Fault(
      "precondition",
      "cli.packages_missing",
      `Not installed. The command is: ${installCommand(missing)}`,
    )
  }
  await aptInstall(
    missing.map((p) => p.name),
    options.say,
  )
}

async function confirm(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout })
  try {
    return !/^n/i.test(await terminal.question(question))
  } finally {
    terminal.close()
  }
}

const policyFile = "/usr/sbin/policy-rc.d"

/** apt-get install in which no service starts by itself: the engines are Kumoi's own to start. */
export async function aptInstall(names: readonly string[], say: (line: string) => void): Promise<void> {
  const isOurPolicy = !existsSync(policyFile)
  if (isOurPolicy) {
    writeFileSync(policyFile, "#!/bin/sh\nexit 101\n")
    chmodSync(policyFile, 0o755)
  }
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" }
  const install = () =>
    exec("apt-get", ["install", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", ...names], {
      env,
      timeoutMs: 1_800_000,
      outputLimitBytes: 64 * 1024 * 1024,
    })
  try {
    say("installing them; this takes a minute or two ...")
    try {
      await install()
    } catch {
      // Package lists may be missing or old; with new ones it goes, or the error is a real one.
      say("refreshing the package lists ...")
      await exec("apt-get", ["update", "-q"], { env, timeoutMs: 300_000, outputLimitBytes: 64 * 1024 * 1024 })
      await install()
    }
  } catch (cause) {
    throw new Fault(
      "unavailable",
      "cli.packages_failed",
      `Packages could not be installed: apt-get install ${names.join(" ")}`,
      { cause },
    )
  } finally {
    if (isOurPolicy) rmSync(policyFile, { force: true })
  }
}

/** The system user that engines run as when we are root. Made once, as Debian's packages make theirs. */
export async function ensureSystemUser(name: string): Promise<void> {
  const { exitCode } = await exec("getent", ["passwd", name], { okCodes: [0, 2] })
  if (exitCode === 0) return
  await exec("useradd", [
    "--system",
    "--no-create-home",
    "--home-dir",
    "/nonexistent",
    "--shell",
    "/usr/sbin/nologin",
    name,
  ])
}
