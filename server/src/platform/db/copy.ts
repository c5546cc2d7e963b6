// COPY as streams, which the client library leaves to its users: whole tables in and out, without holding them.
import { PassThrough, type Readable } from "node:stream"
import type pg from "pg"

/** What the client's connection has for COPY; its types leave it out. */
interface CopyConnection extends pg.Connection {
  sendCopyFromChunk(chunk: Buffer): void
  endCopyFrom(): void
  sendCopyFail(message: string): void
}

/** The client calls these as the server answers. */
interface CopyQuery extends pg.Submittable {
  handleCopyData?(message: { chunk: Buffer }): void
  handleCopyInResponse?(connection: CopyConnection): void
  handleCommandComplete(): void
  handleReadyForQuery(): void
  handleError(error: Error): void
}

/** The rows of `copy … to stdout`; read it to its end before the client's next statement. */
export function copyOut(client: pg.Client, statement: string): Readable {
  const out = new PassThrough({ highWaterMark: 1024 * 1024 })
  let connection: pg.Connection | undefined
  const query: CopyQuery = {
    submit: (to) => {
      connection = to
      to.query(statement)
    },
    handleCopyData: ({ chunk }) => {
      // A copy, as the parser uses its buffer again.
      if (out.write(Buffer.from(chunk)) || !connection) return
      const { stream } = connection
      stream.pause()
      out.once("drain", () => stream.resume())
    },
    handleCommandComplete: () => {},
    handleReadyForQuery: () => out.end(),
    handleError: (error) => out.destroy(error),
  }
  client.query(query)
  return out
}

/** Sends the source as the rows of `copy … from stdin`; resolves when the server has taken them all. */
export async function copyIn(
  client: pg.Client,
  statement: string,
  source: AsyncIterable<Buffer>,
): Promise<void> {
  const done = Promise.withResolvers<void>()
  const query: CopyQuery = {
    submit: (to) => to.query(statement),
    handleCopyInResponse: (connection) => {
      send(connection, source).catch((error: unknown) => connection.sendCopyFail(String(error)))
    },
    handleCommandComplete: () => {},
    handleReadyForQuery: () => done.resolve(),
    handleError: (error) => done.reject(error),
  }
  client.query(query)
  await done.promise
}

async function send(connection: CopyConnection, source: AsyncIterable<Buffer>): Promise<void> {
  for await (const chunk of source) {
    connection.sendCopyFromChunk(chunk)
    if (connection.stream.writableNeedDrain) {
      await new Promise((resolve) => connection.stream.once("drain", resolve))
    }
  }
  connection.endCopyFrom()
}
