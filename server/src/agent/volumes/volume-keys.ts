// Keys of encrypted volumes as the agent asks for them: in the same process, or at the other end of a network. They are
// asked for when a volume is made or opened, and nothing of them stays on a disk of the host.

export interface VolumeKey {
  passphrase: string
  /** What new data are encrypted with, in dm-crypt's words: `aes-xts-plain64`. */
  cipher: string
  keySizeBits: number
}

export interface VolumeKeys {
  /** Only of volumes that the cloud has on this host. Throws `unavailable` while the cloud does not answer. */
  of(volumeId: string): Promise<VolumeKey>
}
