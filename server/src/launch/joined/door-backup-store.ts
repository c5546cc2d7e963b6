// The cloud's store of backups as a joined host reaches it: through the door, by the ticket that a command brought.
import type { IncomingMessage } from "node:http"
import { Readable } from "node:stream"
import { doorHeaders, doorPaths, type FinishedBackup } from "../../agent/door-protocol.ts"
import type { BackupAccess, BackupStore } from "../../agent/volumes/backup-store.ts"
import type { DoorClient, DoorRequest } from "./door-client.ts"

/** The cloud has it on its disk before it answers. */
const answerTimeoutMs = 120_000
/** It looks at every part of what was sent. */
const finishTimeoutMs = 900_000
const bytesMost = 64 * 1024 ** 2

export function doorBackupStore(client: DoorClient): BackupStore {
  const ask = async (
    { dataId, ticket }: BackupAccess,
    what: string,
    { headers, ...asked }: Omit<DoorRequest, "path"> & { signal: AbortSignal },
  ): Promise<Buffer> =>
    await readAll(
      await client.ask({
        timeoutMs: answerTimeoutMs,
        ...asked,
        path: `${doorPaths.backups}/${dataId}/${what}`,
        headers: { ...headers, [doorHeaders.backupTicket]: ticket },
      }),
    )
  const sent = (bytes: Buffer) => ({
    body: Readable.from([bytes], { objectMode: false }),
    headers: { "content-length": String(bytes.length) },
  })
  return {
    // The door's own answers.
    offer: async (access, part, digests, { signal }) =>
      parsed(await ask(access, `index/${part}`, { method: "POST", ...sent(digests), signal })) as number[],
    put: async (access, chunk, data, { signal }) => {
      await ask(access, `data/${chunk}`, { method: "PUT", ...sent(data), signal })
    },
    finish: async (access, json: FinishedBackup, { signal }) => {
      await ask(access, "whole", { method: "POST", json, signal, timeoutMs: finishTimeoutMs })
    },
    open: async (access, { signal }) => parsed(await ask(access, "whole", { signal })) as FinishedBackup,
    digests: (access, part, { signal }) => ask(access, `index/${part}`, { signal }),
    get: (access, chunk, { signal }) => ask(access, `data/${chunk}`, { signal }),
  }
}

function parsed(bytes: Buffer): unknown {
  return JSON.parse(bytes.toString())
}

async function readAll(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > bytesMost) throw new Error("the cloud's answer is larger than any chunk")
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
