// The cloud's image store as the agent sees it: in the same process, or at the other end of a network.
import type { Readable } from "node:stream"

export type OpenedImage =
  /** The data lie on this host, and never change. `checksum`: what the store knows that these very data have. */
  | { path: string; checksum?: string | null }
  /** They begin at the offset that was asked for. `sizeBytes` is that of all the data; null: not known. */
  | { stream: Readable; sizeBytes: number | null }

export interface OpenOptions {
  /** Bytes that are here already, of a stream that broke. A path is always of all the data. */
  offset: number
  /** Ends the stream too. */
  signal?: AbortSignal
}

export interface ImageStore {
  /**
   * Answers or fails within some seconds; the data may take longer. A fault other than `unavailable` is final: they are
   * not asked for again.
   */
  open(imageId: string, ticket: string, options: OpenOptions): Promise<OpenedImage>
  /**
   * Makes the file the image's data, from its first byte on each time. Repeatable: once the data are there, it does
   * nothing. The file stays; nobody writes to it afterwards, as the store may have made it its own by a link.
   */
  store(imageId: string, ticket: string, path: string, options: { signal: AbortSignal }): Promise<void>
}
