// Directories in the memory of the host, for what must not be on its disks or needs a short path. Each belongs to one
// file or directory of ours, from whose path its name follows, so that it is found again after a crash.
import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export function volatileDirectory(of: string): string {
  const uid = process.getuid?.() ?? 0
  const base = uid === 0 && existsSync("/run") ? "/run/kumoi-vms" : join(tmpdir(), `kumoi-vms-${uid}`)
  return join(base, createHash("sha256").update(of).digest("hex").slice(0, 16))
}
