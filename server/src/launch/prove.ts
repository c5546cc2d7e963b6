// The promise of `up`: when it returns, an authenticated request works.
import { X509Certificate } from "node:crypto"
import { readFileSync } from "node:fs"
import type { IncomingMessage } from "node:http"
import { request as requestHttps } from "node:https"
import { TLSSocket } from "node:tls"
import { request as requestHttp } from "../platform/http/node-http.ts"
import { ownHost } from "./address.ts"
import type { Tls } from "./tls.ts"

interface Asked {
  listen: string
  port: number
  tls: Tls | null
  /** The administrator's. */
  password: string
}

export async function proveItAnswers(asked: Asked): Promise<void> {
  const domain = { id: "default" }
  const user = { name: "admin", domain, password: asked.password }
  const { status, text } = await logIn(asked, {
    auth: {
      identity: { methods: ["password"], password: { user } },
      scope: { project: { name: "admin", domain } },
    },
  })
  if (status !== 201) throw new Error(`the first log-in was answered ${status}: ${text}`)
}

async function logIn({ listen, port, tls }: Asked, body: unknown): Promise<{ status: number; text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const options = {
    host: ownHost(listen),
    port,
    path: "/identity/v3/auth/tokens",
    method: "POST",
    headers: { "content-type": "application/json" },
    agent: false as const,
  }
  // Names and authorities are the clients' to check; here it must be the very certificate that we were given.
  const request = tls
    ? requestHttps({ ...options, rejectUnauthorized: false }, resolve)
    : requestHttp(options, resolve)
  request.on("error", reject).end(JSON.stringify(body))
  const response = await promise
  if (tls) checkCertificate(response, tls.files.certFile)
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  return { status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") }
}

function checkCertificate({ socket }: IncomingMessage, certFile: string): void {
  const shown = socket instanceof TLSSocket ? socket.getPeerCertificate().fingerprint256 : undefined
  const own = new X509Certificate(readFileSync(certFile)).fingerprint256
  if (shown !== own)
    throw new Error(`the first log-in was answered with another certificate than ${certFile}`)
}
