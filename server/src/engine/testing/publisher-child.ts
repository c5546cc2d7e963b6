// A publisher process that the tests of the outbox kill or pause, started by fork: publisher-child.ts CONNECTION.
// Its broker is the parent, which is sent the number of each notification; once it has answered "confirm", all are
// confirmed. It says "lost" when it notes that its lease is.
import { pino } from "pino"
import { openDatabase } from "../../platform/db/database.ts"
import type { Notification } from "../outbox/notification.ts"
import { testPlatform } from "./platform.ts"

const [connectionString = ""] = process.argv.slice(2)
const confirmed = Promise.withResolvers<void>()
process.on("message", () => confirmed.resolve())
const { db } = openDatabase({ connectionString, poolMax: 4 })
const log = pino(
  { level: "warn" },
  { write: (line) => void (line.includes("lease") && process.send?.("lost")) },
)
const platform = testPlatform(db, { log, config: { outboxLeaseMs: 1_000 } })
platform.bus.publish = async (topic, message) => {
  if (!topic.startsWith("notifications.")) return
  process.send?.((message as Notification).payload.n)
  await confirmed.promise
}
await platform.outbox.publish() // until it is killed
