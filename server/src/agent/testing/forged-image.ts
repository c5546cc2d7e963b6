// What somebody who has broken out of QEMU may leave: qcow2 files whose headers name a file of the host.
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { exec } from "../../platform/exec/exec.ts"

export const forgeries = ["backing", "json", "data-file", "encrypted"] as const

export type Forgery = (typeof forgeries)[number]

/** Makes `path` one of them, as large as the file that it names. */
export async function forge(kind: Forgery, path: string, secret: string): Promise<void> {
  const size = "1M"
  const create = (...options: string[]) =>
    exec("qemu-img", ["create", "-q", "-f", "qcow2", ...options, path, size])
  rmSync(path, { force: true })
  if (kind === "backing") return void (await create("-u", "-b", secret, "-F", "raw"))
  if (kind === "json") {
    const name = `json:${JSON.stringify({ driver: "raw", file: { driver: "file", filename: secret } })}`
    return void (await create("-u", "-b", name, "-F", "raw"))
  }
  if (kind === "encrypted") {
    await create()
    const image = readFileSync(path)
    // LUKS, by the number that the format has for it; to make one in earnest takes long on a busy machine.
    image.writeUInt32BE(2, 32)
    return writeFileSync(path, image)
  }
  // Making one empties its data file, so it is made with another of a name as long.
  const other = join(dirname(secret), "x".repeat(basename(secret).length))
  await create("-o", `data_file=${other},data_file_raw=on`)
  rmSync(other)
  const image = readFileSync(path)
  const at = image.indexOf(other)
  image.write(secret, at)
  writeFileSync(path, image)
}
