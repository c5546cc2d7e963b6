// The config drive: an ISO 9660 + Joliet file system with the label config-2, as cloud-init looks for it.
import { createHash } from "node:crypto"
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises"
import { dirname, join, normalize } from "node:path"
import { exec } from "../../../platform/exec/exec.ts"
import { readStateFile, writeStateFile } from "../../state-file.ts"
import type { RunDirectory } from "./run-directory.ts"

const buildTimeoutMs = 30_000

/** Builds it, unless the one that lies there has the same content. */
export async function makeConfigDrive(directory: RunDirectory, files: Record<string, string>): Promise<void> {
  const digestPath = `${directory.configDrive}.json`
  const digest = createHash("sha256").update(JSON.stringify(files)).digest("hex")
  if (readStateFile(digestPath) === digest) return
  const tree = await mkdtemp(join(directory.root, "config-drive-"))
  try {
    for (const [path, content] of Object.entries(files)) {
      const target = join(tree, inside(path))
      await mkdir(dirname(target), { recursive: true })
      await writeFile(target, Buffer.from(content, "base64"))
    }
    const output = `${tree}.iso`
    const isoArgs = ["-quiet", "-o", output, "-V", "config-2", "-J", "-joliet-long", "-r", tree]
    await exec("genisoimage", ["-input-charset", "utf-8", "-ldots", ...isoArgs], {
      timeoutMs: buildTimeoutMs,
    })
    await rename(output, directory.configDrive)
    await writeStateFile(digestPath, digest)
  } finally {
    await rm(tree, { recursive: true, force: true })
  }
}

/** The path as it is when it stays inside the drive; an error otherwise. */
function inside(path: string): string {
  const clean = normalize(path)
  if (clean.startsWith("/") || clean.split("/").includes("..") || clean.includes("\0")) {
    throw new Error(`a path of the config drive leads outside: ${path}`)
  }
  return clean
}
