// What a joined host keeps of its cloud, in its data directory: where the door is, who it is there, and its key.
import { X509Certificate } from "node:crypto"
import { existsSync, mkdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { isUsable, type KeyPairFiles } from "../../platform/authority/authority.ts"
import type { BridgeMappings } from "../../platform/net/bridge-mappings.ts"
import { readJson, writeJson, writeWhole } from "../cloud-dir.ts"

export interface Membership {
  /** `https://10.0.0.1:5443`: the door of the cloud. */
  door: string
  /** Where the doors of all control hosts are, as the cloud last said. Left out: that one alone. */
  doors?: string[]
  /** It is a control host: has the cloud's secrets, and works when no other one does. */
  isControl?: boolean
  /** This host's name and id among the cloud's. */
  name: string
  id: string
  /** Where other hosts reach this one. */
  address: string
  /** What runs machines, unless `up` says otherwise; `auto`: as the cloud's first host does. */
  hypervisor: "auto" | "qemu" | "fake"
  /** It has a way to the public network, and so can be a gateway. Left out by hosts that joined before there was that. */
  isPublic?: boolean
  /** By which bridges of the machine it reaches physical networks. Left out by earlier ones too. */
  bridgeMappings?: BridgeMappings
}

export interface MemberFiles extends KeyPairFiles {
  /** The cloud's authority for hosts. */
  caFile: string
}

const factsFile = (dataDir: string) => join(dataDir, "host.json")

export function memberFiles(dataDir: string): MemberFiles {
  const at = (name: string) => join(dataDir, "member", name)
  return { certFile: at("host.pem"), keyFile: at("host.key"), caFile: at("ca.pem") }
}

/** Undefined: this data directory is no joined host's. */
export function readMembership(dataDir: string): Membership | undefined {
  return readJson<Membership>(factsFile(dataDir))
}

/** A join that was refused or broke off has left its key, and no cloud was made since. */
export function isJoinUnfinished(dataDir: string): boolean {
  const isBegun = existsSync(memberFiles(dataDir).keyFile) && !existsSync(join(dataDir, "endpoint.json"))
  return isBegun && readMembership(dataDir) === undefined
}

export function prepareMemberDirectory(dataDir: string): void {
  mkdirSync(join(dataDir, "member"), { recursive: true, mode: 0o700 })
}

/** The facts come last: without them the host has not joined. */
export function writeMembership(
  dataDir: string,
  membership: Membership,
  { certificate, authority }: { certificate: string; authority: string },
): void {
  writeCertificate(dataDir, certificate)
  writeWhole(memberFiles(dataDir).caFile, authority, 0o644)
  writeJson(factsFile(dataDir), membership, 0o600)
}

/** Of a host that has joined; what it was given stays. */
export function changeMembership(dataDir: string, membership: Membership): void {
  writeJson(factsFile(dataDir), membership, 0o600)
}

export function writeCertificate(dataDir: string, certificate: string): void {
  writeWhole(memberFiles(dataDir).certFile, certificate, 0o644)
}

/** Of a host's whole certificate; it is renewed when less than a third is left. */
export function isCertificateOld(dataDir: string): boolean {
  const files = memberFiles(dataDir)
  if (!existsSync(files.certFile)) return true
  const cert = new X509Certificate(readFileSync(files.certFile))
  const lastsMs = Date.parse(cert.validTo) - Date.parse(cert.validFrom)
  return !isUsable(files, [], lastsMs / 3)
}
