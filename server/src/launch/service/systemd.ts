// What we ask of this machine's systemd.
import { existsSync } from "node:fs"
import { exec } from "../../platform/exec/exec.ts"

export interface Systemd {
  /** Where its files lie: "/", but in tests. */
  root: string
  /** Whether systemd runs this machine; a container may have its programs alone. */
  isRunning: boolean
  /** `systemctl ARGS`: what it printed. Throws when it fails, but for `is-enabled` and `is-active`. */
  systemctl: (args: readonly string[], timeoutMs?: number) => Promise<string>
}

export const ownSystemd: Systemd = {
  root: "/",
  isRunning: existsSync("/run/systemd/system"),
  systemctl: async (args, timeoutMs = 30_000) => {
    const isQuestion = args[0]?.startsWith("is-") ?? false
    const okCodes = isQuestion ? [0, 1, 2, 3, 4] : [0]
    return (await exec("systemctl", args, { okCodes, timeoutMs })).stdout.trim()
  },
}
