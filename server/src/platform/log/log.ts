import { type Logger as PinoLogger, pino } from "pino"
import { LogFile } from "./log-file.ts"

export type Logger = PinoLogger

const standardError = 2

const redacted = [
  "password",
  "*.password",
  "token",
  "*.token",
  "secret",
  "*.secret",
  "adminPass",
  "*.adminPass",
]

/** The root logger. JSON lines to `file`, or to standard error. Loggers come from here and are passed on. */
export function createLogger(options: { level?: string; file?: string; name?: string } = {}): Logger {
  return pino(
    {
      name: options.name ?? "kumoi",
      level: options.level ?? "info",
      redact: { paths: redacted, censor: "***" },
    },
    new LogFile(options.file ?? standardError),
  )
}

/** For tests and one-shot commands. */
export const silentLogger: Logger = pino({ level: "silent" })
