// What a host on another machine and the cloud say to each other, beside the bus: HTTPS to the cloud's door for hosts,
// both with certificates of the cloud's authority for hosts. Faults travel as JSON (`DoorFault`).

/** The name in the door's certificate: wherever it is reached, it is the cloud's. */
export const doorServerName = "control.kumoi"

export const doorPaths = {
  /** POST, without a certificate: JoinRequest, JoinAnswer. */
  join: "/v1/join",
  /** POST: RenewRequest, RenewAnswer. */
  certificate: "/v1/certificate",
  /** GET: HostSettings. */
  settings: "/v1/settings",
  /** GET, control hosts alone: ControlShare. */
  control: "/v1/control",
  /** GET `/v1/databases/NAME` with `Upgrade: kumoi-database`, control hosts alone: from then on OVSDB. */
  databases: "/v1/databases",
  /** GET with `Upgrade: kumoi-bus`: from then on the bus. */
  bus: "/v1/bus",
  /** GET `/v1/streams/ID` with `Upgrade: kumoi-stream`: from then on what the command with that id asked for. */
  streams: "/v1/streams",
  /** GET with `Upgrade: kumoi-southbound`: from then on TLS with the network's southbound database. */
  southbound: "/v1/southbound",
  /** GET and PUT `/v1/images/ID`, with a ticket: an image's data. */
  images: "/v1/images",
  /**
   * With a ticket, of a backup's data: POST `/v1/backups/ID/index/N` (digests of a part: which chunks are wanted), PUT
   * `…/ID/data/N` (a chunk), POST `…/ID/whole` (FinishedBackup); GET `…/ID/whole` (FinishedBackup), `…/ID/index/N`,
   * `…/ID/data/N`.
   */
  backups: "/v1/backups",
  /** GET `/v1/volume-keys/ID`: VolumeKey, of an encrypted volume that the cloud has on the host. */
  volumeKeys: "/v1/volume-keys",
  /** GET `/v1/tpm-keys/ID`: TpmKeyAnswer, of a server that the cloud has on the host. */
  tpmKeys: "/v1/tpm-keys",
  /** GET `/v1/volume-connections/ID`: VolumeConnection, of a volume of another host that a machine of this one is to have. */
  volumeConnections: "/v1/volume-connections",
  /** GET and POST, then the path that the guest asked for. */
  metadata: "/v1/metadata",
} as const

export const doorHeaders = {
  /** What a command gave the host for the image. */
  ticket: "x-kumoi-image-ticket",
  backupTicket: "x-kumoi-backup-ticket",
  /** Of a guest that asks for its metadata: its address, and its network. */
  guest: "x-kumoi-guest-address",
  network: "x-kumoi-network-id",
  /** What the guest is answered. */
  status: "x-kumoi-status",
} as const

export const busUpgrade = "kumoi-bus"
export const streamUpgrade = "kumoi-stream"
export const southboundUpgrade = "kumoi-southbound"
export const databaseUpgrade = "kumoi-database"

/** The network's databases that a control host follows. */
export const followedDatabases = ["nb", "sb"] as const
export type FollowedDatabase = (typeof followedDatabases)[number]

export interface TpmKeyAnswer {
  /** Base64. */
  key: string
}

export interface JoinRequest {
  token: string
  name: string
  /** Where other hosts reach this one. */
  address: string
  /** PKCS #10, PEM. */
  request: string
  /** What the host's clock says, ISO 8601. */
  at: string
  /** It is to be a control host; left out: it runs machines and no more. */
  isControl?: boolean
}

export interface CertificateAnswer {
  certificate: string
  /** Of the authority. */
  authority: string
}

export interface JoinAnswer extends CertificateAnswer {
  /** Of the host, among the cloud's. */
  id: string
  name: string
}

export interface RenewRequest {
  request: string
}

/** What a host must know of its cloud at each start. */
export interface HostSettings {
  region: string
  hypervisor: "qemu" | "fake"
  /** How the host takes part in the network; null: it is simulated. */
  network: HostNetwork | null
  /** Where the cloud's doors are, of whichever control host works: `https://10.0.0.1:5443`. Left out by earlier clouds. */
  doors?: string[]
}

/** What a control host has of the others, and no other host may have. */
export interface ControlShare {
  databaseUrl: string
  /** Null: no broker. */
  brokerUrl: string | null
  /** By which the rows of the network's databases are known. */
  networkId: string
  /** Secrets and rules beside the database: path below the data directory, content in base64. */
  files: { path: string; content: string }[]
  /** The configuration's sections where they differ from the defaults, but for what is each host's own. */
  config: Record<string, Record<string, unknown>>
  /** Directories that all control hosts share, and by what each is known. */
  directories: SharedDirectory[]
}

export interface SharedDirectory {
  /** Configuration key that names it. */
  key: string
  path: string
  /** What its file `.kumoi-shared` says. */
  mark: string
}

export interface HostNetwork {
  tunnelType: "geneve" | "vxlan"
  /** MTU of tenant networks; what a tunnel adds must fit the host's own. */
  tenantMtu: number
  /** Gateway of the public network with its prefix length, for hosts that have a way to it. */
  publicAddress: string
}

export interface FinishedBackup {
  sizeBytes: number
  chunkBytes: number
}

export interface DoorFault {
  kind: string
  code: string
  message: string
}

/** `SECRET.FINGERPRINT`: what lets a host in, and the SHA-256 of the authority by which it knows the cloud. */
export interface JoinToken {
  secret: string
  authority: string
}

export function writeJoinToken({ secret, authority }: JoinToken): string {
  return `${secret}.${Buffer.from(authority, "hex").toString("base64url")}`
}

/** Null when it is none. */
export function readJoinToken(text: string): JoinToken | null {
  const [, secret, fingerprint] = /^([\w-]{43})\.([\w-]{43})$/.exec(text.trim()) ?? []
  if (secret === undefined || fingerprint === undefined) return null
  return { secret, authority: Buffer.from(fingerprint, "base64url").toString("hex") }
}

/** What a host may be called: a label of a DNS name, or several. */
export const hostNamePattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$"
export const hostNameLengthMost = 64
export const hostNameWords = `a host's name has small letters, digits, "-" and ".", ${hostNameLengthMost} at the most, such as host2.`

export function isHostName(name: string): boolean {
  return name.length <= hostNameLengthMost && new RegExp(hostNamePattern).test(name)
}
