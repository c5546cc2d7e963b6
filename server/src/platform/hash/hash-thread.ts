// A thread that hashes streams, a piece at a time and several streams in turn.
import { createHash, type Hash } from "node:crypto"
import { parentPort } from "node:worker_threads"
import { stepBack } from "../exec/thread-priority.ts"

export type ToThread =
  | { kind: "open"; id: number; algorithms: readonly string[] }
  | { kind: "data"; id: number; bytes: Uint8Array }
  | { kind: "end" | "drop"; id: number }

export type FromThread =
  | { kind: "taken"; id: number; sizeBytes: number }
  | { kind: "digests"; id: number; hex: string[] }

stepBack(5)
const streams = new Map<number, Hash[]>()
const tell = (message: FromThread) => parentPort?.postMessage(message)

parentPort?.on("message", (message: ToThread) => {
  const { id } = message
  switch (message.kind) {
    case "open":
      streams.set(
        id,
        message.algorithms.map((name) => createHash(name)),
      )
      break
    case "data":
      for (const hash of streams.get(id) ?? []) hash.update(message.bytes)
      tell({ kind: "taken", id, sizeBytes: message.bytes.byteLength })
      break
    case "end":
      tell({ kind: "digests", id, hex: (streams.get(id) ?? []).map((hash) => hash.digest("hex")) })
      streams.delete(id)
      break
    case "drop":
      streams.delete(id)
  }
})
