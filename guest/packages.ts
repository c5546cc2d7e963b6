import { mkdir, readdir } from "node:fs/promises"
import { join } from "node:path"
import { run } from "./run.ts"

/**
 * The Debian packages that the builder takes files from or calls. What is installed is used as it is; what is not is
 * downloaded and unpacked into the build folder, so that neither root nor an installation is needed.
 */
export const guestPackages: string[] = [
  "bash",
  "busybox-static",
  "dropbear-bin",
  "e2fsprogs",
  "fdisk",
  "grub-common",
  "grub-pc-bin",
  "iputils-ping",
  "libpam-modules",
  "linux-image-cloud-amd64",
  "openssh-client",
  "openssh-sftp-server",
  "qemu-utils",
  "sudo",
  "util-linux",
]

export interface Packages {
  /** Folders to look for a file in, best first; the last one is the machine itself. */
  roots: string[]
  /** As in the name of /boot/vmlinuz-<kernelRelease>. */
  kernelRelease: string
}

/** Lets apt say what is missing (dependencies too), then downloads and unpacks just that. */
export async function obtainPackages(folder: string, log: (line: string) => void): Promise<Packages> {
  const plan = await run("apt-get", [
    "-s",
    "-y",
    "--no-install-recommends",
    "install",
    ...guestPackages,
  ]).catch((cause) => {
    throw new Error(`apt knows no way to get the packages of the guest image; try apt-get update first`, {
      cause,
    })
  })
  const missing = parsePlan(plan)
  const roots: string[] = []
  if (missing.length > 0) {
    log(`downloading ${missing.length} Debian packages that are not installed here`)
    roots.push(await unpackPackages(missing, folder))
  }
  roots.push("/")
  return { roots, kernelRelease: await findKernelRelease(missing) }
}

interface MissingPackage {
  name: string
  version: string
}

/** Lines look like: Inst sudo [1.9.12] (1.9.13p3-1 Debian:12/stable [amd64]) */
function parsePlan(plan: string): MissingPackage[] {
  const found: MissingPackage[] = []
  for (const line of plan.split("\n")) {
    const match = /^Inst (\S+) (?:\[[^\]]*\] )?\((\S+)/.exec(line)
    // The kernel's own tools (initramfs-tools and so on) are dependencies, but nothing is taken from them.
    if (match?.[1] && match[2] && !/^(initramfs-tools|linux-base|firmware-|klibc)/.test(match[1])) {
      found.push({ name: match[1], version: match[2] })
    }
  }
  return found
}

async function unpackPackages(missing: MissingPackage[], folder: string): Promise<string> {
  const debs = join(folder, "debs")
  const root = join(folder, "unpacked")
  await mkdir(debs, { recursive: true })
  await mkdir(root, { recursive: true })
  const wanted = missing.map((one) => `${one.name}=${one.version}`)
  // As root apt would hand the download to its own user, who cannot write here.
  const sandbox = process.getuid?.() === 0 ? ["-o", "APT::Sandbox::User=root"] : []
  await run("apt-get", [...sandbox, "download", ...wanted], { cwd: debs }).catch((cause) => {
    const names = missing.map((one) => one.name).join(" ")
    throw new Error(`cannot download Debian packages; install them by hand: apt-get install ${names}`, {
      cause,
    })
  })
  for (const file of await readdir(debs)) await run("dpkg-deb", ["-x", join(debs, file), root])
  return root
}

// biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholder
const dependsField = "${Depends}"

async function findKernelRelease(missing: MissingPackage[]): Promise<string> {
  const isKernel = /^linux-image-(\d\S*-cloud-amd64)$/
  for (const one of missing) {
    const release = isKernel.exec(one.name)?.[1]
    if (release) return release
  }
  const depends = await run("dpkg-query", ["-W", "-f", dependsField, "linux-image-cloud-amd64"])
  for (const word of depends.split(/[\s,]+/)) {
    const release = isKernel.exec(word)?.[1]
    if (release) return release
  }
  throw new Error(`linux-image-cloud-amd64 depends on no kernel: ${depends}`)
}
