// The cloud's store of backups as the agent sees it: in the same process, or at the other end of a network. Data are in
// chunks of one size, the last may be shorter; 1,024 chunks are a part.

/** What commands bring: good for these data alone, and for a while. */
export interface BackupAccess {
  dataId: string
  ticket: string
}

interface Options {
  signal: AbortSignal
}

/** Each call is repeatable; a fault other than `unavailable` is final. */
export interface BackupStore {
  /** SHA-256 of each chunk of the part, 32 bytes each; zeros for a chunk of zeros. Answers which are to be put. */
  offer(access: BackupAccess, part: number, digests: Buffer, options: Options): Promise<readonly number[]>
  put(access: BackupAccess, chunk: number, data: Buffer<ArrayBuffer>, options: Options): Promise<void>
  /** Every part was offered, and what was asked for was put: now it is a backup. */
  finish(access: BackupAccess, of: { sizeBytes: number; chunkBytes: number }, options: Options): Promise<void>

  open(access: BackupAccess, options: Options): Promise<{ sizeBytes: number; chunkBytes: number }>
  /** As they were offered. */
  digests(access: BackupAccess, part: number, options: Options): Promise<Buffer>
  get(access: BackupAccess, chunk: number, options: Options): Promise<Buffer>
}

export const partChunks = 1_024
export const digestBytes = 32
