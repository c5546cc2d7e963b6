// What a host needs to open volumes, as the agent asks for it: in the same process, or at the other end of a network.
// Keys of encrypted volumes and of machines' TPMs are asked for when one is made or opened, and nothing of them stays
// on a disk of the host.
import type { VolumeConnection } from "../protocol.ts"

export interface VolumeKey {
  passphrase: string
  /** What new data are encrypted with, in dm-crypt's words: `aes-xts-plain64`. */
  cipher: string
  keySizeBits: number
}

export interface VolumeKeys {
  /** Only of volumes that the cloud has on this host. Throws `unavailable` while the cloud does not answer. */
  of(volumeId: string): Promise<VolumeKey>
  /**
   * Has a volume of another host, which a machine of this one is to have, given to this host: how it is reached, with
   * the secret. Throws `unavailable` while the cloud or the other host does not answer.
   */
  connect(volumeId: string): Promise<VolumeConnection>
  /** What the TPM of a server that the cloud has on this host is encrypted with, in base64. Throws as above. */
  ofTpm(serverId: string): Promise<string>
}
