// What the fake remembers over a restart: JSON lines, the last of each machine counts, null means gone. A line that
// a crash cut short is left aside. Written anew at the start when it holds much that is over.
import { appendFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"

export class Journal<R extends { serverId: string }> {
  readonly #path: string

  constructor(path: string) {
    this.#path = path
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  }

  load(): Map<string, R> {
    const records = new Map<string, R>()
    let text = ""
    try {
      text = readFileSync(this.#path, "utf8")
    } catch {
      return records
    }
    for (const line of text.split("\n")) {
      try {
        const { serverId, record }: { serverId: string; record: R | null } = JSON.parse(line)
        if (record) records.set(serverId, record)
        else records.delete(serverId)
      } catch {
        // The last line of a writer that died.
      }
    }
    const lines = [...records.values()].map((record) => line(record.serverId, record))
    writeFileSync(`${this.#path}.tmp`, lines.join(""), { mode: 0o600 })
    renameSync(`${this.#path}.tmp`, this.#path)
    return records
  }

  write(serverId: string, record: R | null): void {
    appendFileSync(this.#path, line(serverId, record), { mode: 0o600 })
  }
}

function line(serverId: string, record: unknown): string {
  return `${JSON.stringify({ serverId, record })}\n`
}
