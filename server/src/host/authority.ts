// The authority of the cloud's hosts: its certificate is how hosts know the cloud, and signs what they are known by.
// Made with the first token. Lies in DATA/hosts, 0600.
import { X509Certificate } from "node:crypto"
import { existsSync, mkdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { doorServerName } from "../agent/door-protocol.ts"
import {
  fingerprintOf,
  isSignedBy,
  isUsable,
  type KeyPairFiles,
  makeAuthority,
  makeCertificate,
} from "../platform/authority/authority.ts"

export interface HostAuthority {
  files: KeyPairFiles
  /** PEM. */
  certificate: string
  /** SHA-256, hex. */
  fingerprint: string
  /** What the door shows. */
  door: KeyPairFiles
}

const dayMs = 24 * 3_600_000
const doorDays = 397
/** The door's certificate is made anew when it has less than this. */
const renewMs = 60 * dayMs

const directoryOf = (dataDir: string) => join(dataDir, "hosts")
const filesOf = (dataDir: string, name: string): KeyPairFiles => ({
  certFile: join(directoryOf(dataDir), `${name}.pem`),
  keyFile: join(directoryOf(dataDir), `${name}.key`),
})

/** Whether a token was ever made: then there may be hosts that look for the door. */
export function hasHostAuthority(dataDir: string): boolean {
  return existsSync(filesOf(dataDir, "ca").certFile)
}

/** Makes what is missing or near its end. The authority itself is never made anew: every host knows the cloud by it. */
export async function ensureHostAuthority(dataDir: string): Promise<HostAuthority> {
  mkdirSync(directoryOf(dataDir), { recursive: true, mode: 0o700 })
  const files = filesOf(dataDir, "ca")
  const door = filesOf(dataDir, "door")
  if (!existsSync(files.certFile)) await makeAuthority(files, "Kumoi hosts")
  if (!isUsable(door, [doorServerName], renewMs) || !isSignedBy(door.certFile, files.certFile)) {
    await makeCertificate(door, files, {
      commonName: doorServerName,
      names: [doorServerName],
      usages: ["serverAuth"],
      days: doorDays,
    })
  }
  const certificate = readFileSync(files.certFile, "utf8")
  return { files, certificate, fingerprint: fingerprintOf(new X509Certificate(certificate)), door }
}
