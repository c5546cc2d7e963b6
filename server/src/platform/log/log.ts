import { type Logger as PinoLogger, pino } from "pino"

export type Logger = PinoLogger

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
  const destination = pino.destination({ dest: options.file ?? 2, sync: false, mkdir: true })
  return pino(
    {
      name: options.name ?? "kumoi",
      level: options.level ?? "info",
      redact: { paths: redacted, censor: "***" },
    },
    destination,
  )
}

/** For tests and one-shot commands. */
export const silentLogger: Logger = pino({ level: "silent" })
