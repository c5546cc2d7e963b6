// Threads of Linux have priorities of their own.
import { readlinkSync } from "node:fs"
import { setPriority } from "node:os"

/** This thread claims less of the processors than those that answer requests. */
export function stepBack(niceness: number): void {
  try {
    // This link is the thread's that reads it.
    setPriority(Number(readlinkSync("/proc/thread-self").split("/").at(-1)), niceness)
  } catch {
    // Then it works at the priority of all.
  }
}
