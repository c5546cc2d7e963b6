// What `up` answers with: the operator's certificate, or one of an authority that the cloud makes for itself. The
// authority's certificate is for clients (clouds.yaml names it); its key signs this machine's and nothing else.
import { createPrivateKey, randomBytes, X509Certificate } from "node:crypto"
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { isIP } from "node:net"
import { hostname, networkInterfaces } from "node:os"
import { join } from "node:path"
import { exec } from "../platform/exec/exec.ts"
import { Fault } from "../platform/fault/fault.ts"
import { readTls, type TlsFiles } from "../platform/http/tls.ts"
import { everyAddress } from "./address.ts"
import type { UpOptions } from "./up-options.ts"

export interface Tls {
  files: TlsFiles
  /** What clients must know to believe the certificate; null when an authority that they know has signed it. */
  caFile: string | null
}

const dayMs = 24 * 3_600_000
const caDays = 3_650
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
  if (!isUsable(ca, [])) await makeAuthority(dir, ca)
  if (!isUsable(files, names) || !isSignedBy(files.certFile, ca.certFile)) {
    how.say("making a certificate for this machine")
    await makeCertificate(dir, files, ca, names)
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

function isFor(cert: X509Certificate, name: string): boolean {
  return (isIP(name) === 0 ? cert.checkHost(name) : cert.checkIP(name)) !== undefined
}

/** A crash may have left a new key beside an old certificate. */
function isUsable({ certFile, keyFile }: TlsFiles, names: readonly string[]): boolean {
  if (!existsSync(certFile) || !existsSync(keyFile)) return false
  const cert = new X509Certificate(readFileSync(certFile))
  if (!cert.checkPrivateKey(createPrivateKey(readFileSync(keyFile)))) return false
  return Date.parse(cert.validTo) - Date.now() > renewMs && names.every((name) => isFor(cert, name))
}

function isSignedBy(path: string, caPath: string): boolean {
  const ca = new X509Certificate(readFileSync(caPath))
  return new X509Certificate(readFileSync(path)).verify(ca.publicKey)
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

async function makeAuthority(dir: string, ca: TlsFiles): Promise<void> {
  const name = `Kumoi authority ${randomBytes(4).toString("hex")}`
  const settings = `[req]\ndistinguished_name = dn\nprompt = no\nx509_extensions = ext\n[dn]\nCN = ${name}
[ext]\nbasicConstraints = critical, CA:true, pathlen:0\nkeyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash\n`
  await makeKey(ca.keyFile)
  await making(dir, settings, async (file) => {
    const fresh = `${ca.certFile}.new`
    const serial = `0x${randomBytes(15).toString("hex")}`
    const args = ["-x509", "-new", "-key", ca.keyFile, "-days", String(caDays), "-set_serial", serial]
    await openssl(["req", "-config", file, ...args, "-out", fresh])
    renameSync(fresh, ca.certFile)
  })
}

async function makeCertificate(
  dir: string,
  files: TlsFiles,
  ca: TlsFiles,
  names: readonly string[],
): Promise<void> {
  const alt = names.map((name) => `${isIP(name) === 0 ? "DNS" : "IP"}:${name}`).join(", ")
  const settings = `[req]\ndistinguished_name = dn\nprompt = no\n[dn]\nCN = Kumoi
[ext]\nbasicConstraints = critical, CA:false\nkeyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth\nsubjectAltName = ${alt}\nauthorityKeyIdentifier = keyid\n`
  await makeKey(files.keyFile)
  await making(dir, settings, async (file) => {
    const [fresh, request] = [`${files.certFile}.new`, `${files.certFile}.request`]
    const serial = `0x${randomBytes(15).toString("hex")}`
    await openssl(["req", "-config", file, "-new", "-key", files.keyFile, "-out", request])
    const signer = [
      "-CA",
      ca.certFile,
      "-CAkey",
      ca.keyFile,
      "-set_serial",
      serial,
      "-days",
      String(certDays),
    ]
    await openssl([
      "x509",
      "-req",
      "-in",
      request,
      ...signer,
      "-extfile",
      file,
      "-extensions",
      "ext",
      "-out",
      fresh,
    ])
    rmSync(request)
    renameSync(fresh, files.certFile)
  })
}

/** A whole key or none: what `openssl` writes in the middle of a crash stays under another name. */
async function makeKey(path: string): Promise<void> {
  const fresh = `${path}.new`
  writeFileSync(fresh, "", { mode: 0o600 })
  chmodSync(fresh, 0o600)
  await openssl(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", fresh])
  chmodSync(fresh, 0o600)
  renameSync(fresh, path)
}

async function making(dir: string, settings: string, make: (file: string) => Promise<void>): Promise<void> {
  const file = join(dir, "openssl.cnf")
  writeFileSync(file, settings, { mode: 0o600 })
  try {
    await make(file)
  } finally {
    rmSync(file, { force: true })
  }
}

async function openssl(args: readonly string[]): Promise<void> {
  try {
    await exec("openssl", args)
  } catch (cause) {
    const why = cause instanceof Error ? cause.cause : undefined
    if (!(why instanceof Error && "code" in why && why.code === "ENOENT")) throw cause
    const message = "--tls makes a certificate with openssl, which is not here: apt-get install openssl"
    throw new Fault("precondition", "cli.no_openssl", message, { cause })
  }
}
