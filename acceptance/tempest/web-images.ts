// Images for import tests to fetch over HTTP, with nothing in them.
import { readFileSync } from "node:fs"
import { mkdtempDisposable } from "node:fs/promises"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { run } from "../cloud.ts"
import { webImages } from "./workspace.ts"

export async function serveWebImages(): Promise<AsyncDisposable> {
  await using folder = await mkdtempDisposable(join(tmpdir(), "kumoi-web-images-"))
  const path = join(folder.path, "tiny.qcow2")
  await run("qemu-img", ["create", "-q", "-f", "qcow2", path, "1M"])
  const files: Readonly<Record<string, Buffer>> = {
    "/tiny.qcow2": readFileSync(path),
    "/tiny.raw": Buffer.alloc(1_048_576),
    "/tiny.tar.gz": gzipSync(Buffer.alloc(1_048_576)),
  }
  const server = createServer((request, response) => {
    const data = files[request.url ?? ""]
    response.writeHead(data === undefined ? 404 : 200, { "content-length": data?.length ?? 0 }).end(data)
  })
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(webImages.port, webImages.host, resolve)
  })
  return {
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
