// The control socket of a running cloud: `kumoi status` asks here. Mode 0600, so only its owner can.
import { chmodSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import type { CloudStatus } from "./status.ts"

export async function serveControl(
  socketPath: string,
  status: () => Promise<CloudStatus>,
): Promise<AsyncDisposable> {
  rmSync(socketPath, { force: true })
  const server = createServer((request, response) => {
    if (request.url !== "/status") {
      response.writeHead(404).end()
      return
    }
    status().then(
      (found) => response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(found)),
      (error: unknown) => response.writeHead(500).end(String(error)),
    )
  })
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject)
    server.listen(socketPath, resolve)
  })
  chmodSync(socketPath, 0o600)
  return {
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
      rmSync(socketPath, { force: true })
    },
  }
}
