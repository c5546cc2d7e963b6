// A thread that hashes passwords, at the lowest claim on the processors: whoever logs in waits for a hash anyway,
// while everybody's requests wait for the thread that answers them.
import { scryptSync } from "node:crypto"
import { parentPort } from "node:worker_threads"
import { stepBack } from "../../platform/exec/thread-priority.ts"

export interface HashJob {
  password: string
  salt: Uint8Array
  length: number
  options: { N: number; r: number; p: number; maxmem: number }
}

stepBack(10)
parentPort?.on("message", ({ password, salt, length, options }: HashJob) => {
  parentPort?.postMessage(scryptSync(password, salt, length, options))
})
