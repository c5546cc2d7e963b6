// What the metadata of a server is made of; plain data, gathered by read-facts.ts, turned into files by files.ts.
import type { ServerMetadataNetwork } from "../../network/index.ts"
import type { InjectedFile } from "../server/injected-file.ts"

export interface MetadataFacts {
  serverId: string
  instanceName: string
  number: number
  name: string
  hostname: string
  dhcpDomain: string
  projectId: string
  launchIndex: number
  availabilityZone: string
  metadata: Record<string, string>
  keyName: string | null
  publicKey: string | null
  keyType: string | null
  /** Base64, as the user gave it. */
  userData: string | null
  injectedFiles: InjectedFile[]
  imageId: string | null
  kernelId: string | null
  ramdiskId: string | null
  flavorName: string
  /** The disks that the flavor gives, as a guest with Linux names them. */
  disks: { name: string; device: string }[]
  volumes: { volumeId: string; device: string; isRoot: boolean; tag: string | null }[]
  reservationId: string
  securityGroups: string[]
  /** A seed for the guest's random numbers, base64; another one each time it is asked for. */
  randomSeed: string
  networks: ServerMetadataNetwork[]
  /** Of a machine that was made a moment ago. */
  adminPassword: string | null
}
