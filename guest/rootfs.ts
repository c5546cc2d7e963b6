import { chmod, lstat, mkdir, readFile, realpath, symlink, writeFile } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import { readElfNeeds } from "./elf.ts"
import { exists, walk } from "./files.ts"
import type { KernelModule } from "./modules.ts"
import { run } from "./run.ts"

const libraryFolder = "usr/lib/x86_64-linux-gnu"

/** Programs of other packages than busybox; they replace busybox's own of the same name. */
const programs = [
  "usr/sbin/dropbear",
  "usr/bin/dropbearkey",
  "usr/bin/dbclient",
  "usr/bin/bash",
  "usr/bin/scp",
  "usr/lib/openssh/sftp-server",
  "usr/bin/sudo",
  "usr/libexec/sudo/sudoers.so",
  `${libraryFolder}/security/pam_permit.so`,
  `${libraryFolder}/security/pam_deny.so`,
  "usr/sbin/mke2fs",
  "usr/sbin/e2fsck",
  "usr/sbin/resize2fs",
  "usr/sbin/fdisk",
  "usr/sbin/sfdisk",
  "usr/sbin/blkid",
  "usr/bin/lsblk",
  "usr/bin/ping",
]

const links: Record<string, string> = {
  bin: "usr/bin",
  sbin: "usr/bin",
  lib: "usr/lib",
  lib64: "usr/lib64",
  // One folder for programs: a command over ssh has no sbin in its path, and people type `fdisk -l` all the same.
  "usr/sbin": "bin",
  "usr/lib64/ld-linux-x86-64.so.2": "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
  "usr/bin/ping6": "ping",
  // Where dropbear looks for it.
  "usr/lib/sftp-server": "openssh/sftp-server",
  "usr/bin/sh": "bash",
  "usr/bin/ssh": "dbclient",
  "usr/sbin/mkfs.ext2": "mke2fs",
  "usr/sbin/mkfs.ext3": "mke2fs",
  "usr/sbin/mkfs.ext4": "mke2fs",
  "usr/sbin/fsck.ext4": "e2fsck",
  "usr/sbin/mkfs": "/usr/lib/kumoi/mkfs",
  "etc/mtab": "/proc/self/mounts",
  "var/run": "/run",
  "var/lock": "/run/lock",
}

const folders = [
  ...["boot", "dev", "etc/dropbear", "home/cirros", "media", "mnt", "proc", "root", "run", "sys", "tmp"],
  ...["usr/bin", "usr/lib64", "usr/local/bin", "usr/local/sbin", libraryFolder],
  ...["var/lib/kumoi", "var/log", "var/spool/cron/crontabs", "var/tmp"],
]

/** Anything not here is 0755 for folders and scripts, 0644 for other files. */
const modes: Record<string, number> = {
  "etc/shadow": 0o640,
  "etc/sudoers": 0o440,
  "home/cirros": 0o750,
  root: 0o700,
  tmp: 0o1777,
  "usr/bin/sudo": 0o4755,
  "var/lib/kumoi": 0o700,
  "var/tmp": 0o1777,
}

/** Package managers that busybox has parts of, useless here, and the tools that real ones above do better. */
const unwantedApplets = new Set(["dpkg", "dpkg-deb", "rpm", "rpm2cpio", "linuxrc"])

export interface RootfsInput {
  target: string
  /** The folder of this program: has files/. */
  sources: string
  roots: string[]
  release: string
  version: string
  modules: KernelModule[]
  kernel: Buffer
  initrd: Buffer
}

/** Lays out the guest's root file system in a folder. */
export async function stageRootfs(input: RootfsInput): Promise<void> {
  const { target, roots } = input
  for (const folder of folders) await mkdir(join(target, folder), { recursive: true })
  for (const [path, to] of Object.entries(links)) await symlink(to, join(target, path))
  await stageOwnFiles(input)
  await stagePrograms(target, roots)
  await stageBusybox(target, roots)
  await writeFile(join(target, "boot/vmlinuz"), input.kernel)
  await writeFile(join(target, "boot/initrd.img"), input.initrd)
  await stageModules(input)
  for (const [path, mode] of Object.entries(modes)) await chmod(join(target, path), mode)
}

async function stageOwnFiles({ target, sources, version, release }: RootfsInput): Promise<void> {
  const from = join(sources, "files")
  for (const path of await walk(from)) {
    if ((await lstat(join(from, path))).isDirectory()) continue
    const content = await readFile(join(from, path))
    await place(target, path, content, content.subarray(0, 2).toString() === "#!" ? 0o755 : 0o644)
  }
  const osRelease = `NAME="Kumoi guest"\nID=kumoi-guest\nVERSION_ID="${version}"\nPRETTY_NAME="Kumoi guest ${version} (Linux ${release})"\n`
  await place(target, "etc/os-release", Buffer.from(osRelease), 0o644)
}

async function place(target: string, path: string, content: Buffer, mode: number): Promise<void> {
  const file = join(target, path)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, content)
  await chmod(file, mode)
}

async function stagePrograms(target: string, roots: string[]): Promise<void> {
  const done = new Set<string>()
  const add = async (path: string, source: string): Promise<void> => {
    if (done.has(path)) return
    done.add(path)
    const content = await readFile(source)
    const needs = readElfNeeds(content)
    await place(target, path, content, path.includes(".so") && !path.includes("/ld-") ? 0o644 : 0o755)
    const wanted = [...(needs?.libraries ?? []), ...(needs?.interpreter ? [basename(needs.interpreter)] : [])]
    for (const library of wanted) {
      const found = await findLibrary(roots, library, needs?.searchPath ?? [])
      await add(found.path, found.source)
    }
  }
  for (const path of programs) await add(path, await findFile(roots, path))
}

interface FoundLibrary {
  /** Where it goes in the guest, without a leading slash. */
  path: string
  source: string
}

async function findLibrary(roots: string[], name: string, searchPath: string[]): Promise<FoundLibrary> {
  const own = searchPath.filter((folder) => folder.startsWith("/")).map((folder) => folder.slice(1))
  for (const folder of [...own, libraryFolder]) {
    const source = await findFile(roots, join(folder, name)).catch(() => undefined)
    if (source) return { path: join(folder, name), source }
  }
  throw new Error(`no Debian package at hand has the library ${name}`)
}

/** The file in the first root that has it; /usr/bin and /bin are looked at alike, as Debian has been moving files. */
export async function findFile(roots: string[], path: string): Promise<string> {
  for (const root of roots) {
    for (const candidate of [path, path.replace(/^usr\//, "")]) {
      if (await exists(join(root, candidate))) return realpath(join(root, candidate))
    }
  }
  throw new Error(`no Debian package at hand has the file /${path}`)
}

async function stageBusybox(target: string, roots: string[]): Promise<void> {
  const busybox = await findFile(roots, "usr/bin/busybox")
  await place(target, "usr/bin/busybox", await readFile(busybox), 0o755)
  for (const applet of (await run(busybox, ["--list-full"])).split("\n")) {
    const name = basename(applet)
    if (!name || unwantedApplets.has(name)) continue
    const path = join(target, "usr", applet.replace(/^usr\//, ""))
    const isTaken = await lstat(path).then(
      () => true,
      () => false,
    )
    if (!isTaken && /^(usr\/)?s?bin\//.test(applet)) await symlink("/usr/bin/busybox", path)
  }
}

/** modprobe wants an index of what needs what; busybox itself makes it. */
async function stageModules({ target, roots, release, modules }: RootfsInput): Promise<void> {
  const folder = join(target, "usr/lib/modules", release)
  for (const module of modules) await place(folder, module.path, module.content, 0o644)
  await run(await findFile(roots, "usr/bin/busybox"), ["depmod", "-b", target, release])
}
