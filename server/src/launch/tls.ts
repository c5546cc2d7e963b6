// What `up` answers with: the operator's certificate, or one of an authority that the cloud makes for itself. The
// authority's certificate is for clients (clouds.yaml names it); its key signs this machine's and nothing else.
import { randomBytes, X509Certificate } from "node:crypto"
import { mkdirSync, readFileSync } from "node:fs"
import { hostname, networkInterfaces } from "node:os"
import { join } from "node:path"
import {
  isFor,
  isSignedBy,
  isUsable,
  makeAuthority,
  makeCertificate,
} from "../platform/authority/authority.ts"
import { readTls, type TlsFiles } from "../platform/http/tls.ts"
import { everyAddress } from "./address.ts"
import type { UpOptions } from "./up-options.ts"

export interface Tls {
  files: TlsFiles
  /** What clients must know to believe the certificate; null when an authority that they know has signed it. */
  caFile: string | null
}

const dayMs = 24 * 3_600_000
const certDays = 397
/** A certificate is made anew when it has less than this. */
const renewMs = 60 * dayMs

/** Null: no TLS was asked for. `host` is the name in the public URL. */
export async function prepareTls(
  options: Pick<UpOptions, "tls" | "listen">,
  dataDir: string,
  how: { host: string; say: (line: string) => void },
): Promise<Tls | null> {
  const { tls, listen } = options
  if (tls === null) return null
  if (tls !== "own") {
    readTls(tls)
    warnOf(new X509Certificate(readFileSync(tls.certFile)), tls.certFile, how)
    return { files: tls, caFile: null }
  }
  const dir = join(dataDir, "tls")
  mkdirSync(dir, { recursive: true, mode: 0o711 })
  const files = { certFile: join(dir, "server.pem"), keyFile: join(dir, "server.key") }
  const ca = { certFile: join(dir, "ca.pem"), keyFile: join(dir, "ca.key") }
  const names = [...new Set([how.host, ...ownNames(listen)])]
  if (!isUsable(ca, [], renewMs)) await makeAuthority(ca, `Kumoi authority ${randomBytes(4).toString("hex")}`)
  if (!isUsable(files, names, renewMs) || !isSignedBy(files.certFile, ca.certFile)) {
    how.say("making a certificate for this machine")
    await makeCertificate(files, ca, { commonName: "Kumoi", names, usages: ["serverAuth"], days: certDays })
  }
  return { files, caFile: ca.certFile }
}

function warnOf(
  cert: X509Certificate,
  path: string,
  { host, say }: { host: string; say: (line: string) => void },
) {
  if (!isFor(cert, host)) say(`${path} is not for ${host}: clients will refuse it`)
  if (Date.parse(cert.validTo) < Date.now())
    say(`${path} is over since ${cert.validTo}: clients will refuse it`)
}

/** Under which this machine is asked. */
function ownNames(listen: string): string[] {
  const all = ["localhost", hostname().toLowerCase(), "127.0.0.1", "::1"]
  if (!everyAddress.has(listen)) return [...all, listen]
  const addresses = Object.values(networkInterfaces()).flatMap((found) => found ?? [])
  return [
    ...all,
    ...addresses.map(({ address }) => address).filter((address) => !address.startsWith("fe80:")),
  ]
}
