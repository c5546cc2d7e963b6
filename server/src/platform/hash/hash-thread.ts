// A thread that hashes streams, a piece at a time and several streams in turn, and checks their signatures.
import { constants, createHash, createVerify } from "node:crypto"
import { parentPort } from "node:worker_threads"
import { stepBack } from "../exec/thread-priority.ts"

/** A signature over the stream, made by the owner of the key. */
export interface StreamSignature {
  algorithm: string
  /** SPKI in PEM. */
  publicKey: string
  /** Of RSA: PSS with MGF1, of any length of the salt. */
  isPss: boolean
  signature: Uint8Array
}

/** The name of an algorithm gives the sum in hexadecimal, a signature `valid` or `invalid`. */
export type StreamSum = string | StreamSignature

export type ToThread =
  | { kind: "open"; id: number; sums: readonly StreamSum[] }
  | { kind: "data"; id: number; bytes: Uint8Array }
  | { kind: "end" | "drop"; id: number }

export type FromThread =
  | { kind: "taken"; id: number; sizeBytes: number }
  | { kind: "digests"; id: number; sums: string[] }

stepBack(5)
interface Summing {
  update(bytes: Uint8Array): void
  end(): string
}

function summing(sum: StreamSum): Summing {
  if (typeof sum === "string") {
    const hash = createHash(sum)
    return { update: (bytes) => void hash.update(bytes), end: () => hash.digest("hex") }
  }
  const verify = createVerify(sum.algorithm)
  return { update: (bytes) => void verify.update(bytes), end: () => judge(verify, sum) }
}

function judge(verify: ReturnType<typeof createVerify>, sum: StreamSignature): string {
  const { publicKey: key, isPss, signature } = sum
  const { RSA_PKCS1_PSS_PADDING: padding, RSA_PSS_SALTLEN_AUTO: saltLength } = constants
  try {
    return verify.verify(isPss ? { key, padding, saltLength } : { key }, signature) ? "valid" : "invalid"
  } catch {
    // Of a form that the key cannot have made. Thrown on, it would end the other streams of this thread.
    return "invalid"
  }
}

const streams = new Map<number, Summing[]>()
const tell = (message: FromThread) => parentPort?.postMessage(message)

parentPort?.on("message", (message: ToThread) => {
  const { id } = message
  switch (message.kind) {
    case "open":
      streams.set(
        id,
        message.sums.map((sum) => summing(sum)),
      )
      break
    case "data":
      for (const each of streams.get(id) ?? []) each.update(message.bytes)
      tell({ kind: "taken", id, sizeBytes: message.bytes.byteLength })
      break
    case "end":
      tell({ kind: "digests", id, sums: (streams.get(id) ?? []).map((each) => each.end()) })
      streams.delete(id)
      break
    case "drop":
      streams.delete(id)
  }
})
