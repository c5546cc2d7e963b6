// A thread that hashes passwords, at the lowest claim on the processors: whoever logs in waits for a hash anyway,
// while everybody's requests wait for the thread that answers them.
import { scryptSync } from "node:crypto"
import { readlinkSync } from "node:fs"
import { setPriority } from "node:os"
import { parentPort } from "node:worker_threads"

export interface HashJob {
  password: string
  salt: Uint8Array
  length: number
  options: { N: number; r: number; p: number; maxmem: number }
}

const niceness = 10

function stepBack(): void {
  try {
    // Of Linux: threads have priorities of their own. This link is the thread's that reads it.
    setPriority(Number(readlinkSync("/proc/thread-self").split("/").at(-1)), niceness)
  } catch {
    // Then it hashes at the priority of all.
  }
}

stepBack()
parentPort?.on("message", ({ password, salt, length, options }: HashJob) => {
  parentPort?.postMessage(scryptSync(password, salt, length, options))
})
