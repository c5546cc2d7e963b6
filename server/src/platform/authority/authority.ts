// Certificate authorities of the cloud's own, by the program `openssl` (ADR 15): X.509 v3, keys on the curve P-256.
import { createPrivateKey, X509Certificate } from "node:crypto"
import { chmodSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { isIP } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { exec } from "../exec/exec.ts"
import { Fault } from "../fault/fault.ts"

/** A certificate and its key, PEM. */
export interface KeyPairFiles {
  certFile: string
  keyFile: string
}

export interface CertificateWish {
  /** CN of the subject; letters, digits, `.`, `_`, `-` and blanks. */
  commonName: string
  /** DNS names and IP addresses. */
  names: readonly string[]
  usages: readonly ("serverAuth" | "clientAuth")[]
  days: number
}

const dayMs = 24 * 3_600_000
const caDays = 3_650
/** Hosts whose clock is behind must believe a certificate that was made just now. */
const backdateMs = dayMs

/** Whether both files are there, belong together, are for all the names and last for at least `leftMs`. */
export function isUsable(files: KeyPairFiles, names: readonly string[], leftMs: number): boolean {
  const { certFile, keyFile } = files
  // A crash may have left a new certificate beside an old key.
  if (!existsSync(certFile) || !existsSync(keyFile)) return false
  const cert = new X509Certificate(readFileSync(certFile))
  if (!cert.checkPrivateKey(createPrivateKey(readFileSync(keyFile)))) return false
  return Date.parse(cert.validTo) - Date.now() > leftMs && names.every((name) => isFor(cert, name))
}

export function isFor(cert: X509Certificate, name: string): boolean {
  return (isIP(name) === 0 ? cert.checkHost(name) : cert.checkIP(name)) !== undefined
}

export function isSignedBy(path: string, caPath: string): boolean {
  const ca = new X509Certificate(readFileSync(caPath))
  return new X509Certificate(readFileSync(path)).verify(ca.publicKey)
}

/** A new key and a certificate for ten years that signs others and nothing below them. */
export async function makeAuthority(ca: KeyPairFiles, commonName: string): Promise<void> {
  await makeKey(ca.keyFile)
  const extensions = `basicConstraints = critical, CA:true, pathlen:0
keyUsage = critical, keyCertSign, cRLSign\nsubjectKeyIdentifier = hash\n`
  const request = await makeRequest(ca.keyFile)
  const signer = ["-selfsign", "-keyfile", ca.keyFile]
  writeWhole(ca.certFile, await sign(request, signer, { commonName, days: caDays, extensions }))
}

/**
 * A new key in `files`, and a certificate for it by the authority. The certificate is there first: Open vSwitch looks
 * at both when the key has changed, and then at neither until the key changes again.
 */
export async function makeCertificate(
  files: KeyPairFiles,
  ca: KeyPairFiles,
  wish: CertificateWish,
): Promise<void> {
  const fresh = `${files.keyFile}.next`
  await makeKey(fresh)
  const signed = await signRequest(await makeRequest(fresh), ca, wish)
  writeWhole(files.certFile, signed)
  renameSync(fresh, files.keyFile)
}

/** A whole key or none: what `openssl` writes in the middle of a crash stays under another name. */
export async function makeKey(path: string): Promise<void> {
  const fresh = `${path}.new`
  writeFileSync(fresh, "", { mode: 0o600 })
  chmodSync(fresh, 0o600)
  await openssl(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", fresh])
  chmodSync(fresh, 0o600)
  // On a full disk it leaves an empty file, and says nothing.
  if (!isKey(fresh)) throw new Error(`${path} could not be written whole; is the disk full?`)
  renameSync(fresh, path)
}

/** Whether a whole private key is there. */
export function isKey(path: string): boolean {
  try {
    createPrivateKey(readFileSync(path))
    return true
  } catch {
    return false
  }
}

/** A certificate request (PKCS #10, PEM) for the key. Who signs it decides every name in the certificate. */
export async function makeRequest(keyFile: string): Promise<string> {
  return await inDirectory(async (dir) => {
    const [config, out] = [join(dir, "openssl.cnf"), join(dir, "request.pem")]
    writeFileSync(config, "[req]\ndistinguished_name = dn\nprompt = no\n[dn]\nCN = Kumoi\n")
    await openssl(["req", "-config", config, "-new", "-key", keyFile, "-out", out])
    return readFileSync(out, "utf8")
  })
}

/** Signs the request's key, and nothing else that the request says. Returns the certificate, PEM. */
export async function signRequest(request: string, ca: KeyPairFiles, wish: CertificateWish): Promise<string> {
  const alt = wish.names.map((name) => `${isIP(name) === 0 ? "DNS" : "IP"}:${checkName(name)}`).join(", ")
  const extensions = `basicConstraints = critical, CA:false\nkeyUsage = critical, digitalSignature
extendedKeyUsage = ${wish.usages.join(", ")}\nauthorityKeyIdentifier = keyid
${alt === "" ? "" : `subjectAltName = ${alt}\n`}`
  const { commonName, days } = wish
  const signer = ["-cert", ca.certFile, "-keyfile", ca.keyFile]
  return await sign(request, signer, { commonName, days, extensions })
}

interface Signing {
  commonName: string
  days: number
  /** Lines of openssl's configuration. */
  extensions: string
}

async function sign(request: string, signer: readonly string[], what: Signing): Promise<string> {
  return await inDirectory(async (dir) => {
    const [asked, config, out] = [join(dir, "request.pem"), join(dir, "openssl.cnf"), join(dir, "cert.pem")]
    writeFileSync(asked, request)
    writeFileSync(join(dir, "index.txt"), "")
    writeFileSync(
      config,
      `[ca]\ndefault_ca = own\n[own]\ndatabase = ${dir}/index.txt\nnew_certs_dir = ${dir}\nrand_serial = yes
default_md = sha256\npolicy = any\nunique_subject = no\n[any]\ncommonName = supplied\n[ext]\n${what.extensions}`,
    )
    const from = new Date(Date.now() - backdateMs)
    const to = new Date(Date.now() + what.days * dayMs)
    const dates = ["-startdate", asn1Time(from), "-enddate", asn1Time(to)]
    const subject = ["-subj", `/CN=${checkName(what.commonName)}`]
    const files = ["-config", config, "-in", asked, "-out", out, "-extensions", "ext"]
    // It also looks whether whoever asks has the key.
    await openssl(["ca", "-batch", "-notext", ...files, ...signer, ...dates, ...subject])
    return readFileSync(out, "utf8")
  })
}

/** `20261129041500Z` */
function asn1Time(date: Date): string {
  return `${date.toISOString().replace(/\D/g, "").slice(0, 14)}Z`
}

/** SHA-256 of the certificate, hex: names it without a word that somebody chose. */
export function fingerprintOf(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(":", "").toLowerCase()
}

/** What goes into openssl's own notation. */
function checkName(name: string): string {
  if (/^[A-Za-z0-9.:_ -]{1,253}$/.test(name)) return name
  throw new Error(`${JSON.stringify(name)} is no name for a certificate`)
}

function writeWhole(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o644 })
  renameSync(`${path}.new`, path)
}

async function inDirectory<T>(work: (dir: string) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), "kumoi-openssl-"))
  try {
    return await work(dir)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

async function openssl(args: readonly string[]): Promise<void> {
  try {
    await exec("openssl", args)
  } catch (cause) {
    const why = cause instanceof Error ? cause.cause : undefined
    if (!(why instanceof Error && "code" in why && why.code === "ENOENT")) throw cause
    const message = "The cloud makes certificates with openssl, which is not here: apt-get install openssl"
    throw new Fault("precondition", "cli.no_openssl", message, { cause })
  }
}
