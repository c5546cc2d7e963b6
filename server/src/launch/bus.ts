// Which bus a cloud has: one within its process, or the operator's RabbitMQ by AMQP_URL.
import type { Bus } from "../platform/bus/bus.ts"
import { createMemoryBus } from "../platform/bus/memory-bus.ts"
import { describeError, Fault } from "../platform/fault/fault.ts"
import type { Logger } from "../platform/log/log.ts"

/** `HOST:PORT/VHOST` of an `amqp://` address, without its user and password. */
export function describeBroker(url: string): string {
  const parsed = URL.parse(url)
  if (!parsed || !/^amqps?:$/.test(parsed.protocol)) {
    throw new Fault(
      "invalid",
      "cli.broker_url",
      "AMQP_URL must look like amqp://USER:PASSWORD@HOST:PORT/VHOST.",
    )
  }
  return `${parsed.host}${parsed.pathname}`
}

export async function openBus(options: { url: string | null; host: string; log: Logger }): Promise<Bus> {
  const { url, host, log } = options
  if (url === null) return createMemoryBus(log)
  const broker = describeBroker(url)
  // Loaded here, as most clouds have none.
  const { openRabbitBus } = await import("../platform/bus/rabbit-bus.ts")
  try {
    return await openRabbitBus({ url, log, connectionName: `kumoi ${host}` })
  } catch (cause) {
    const why = describeError(cause instanceof Error ? (cause.cause ?? cause) : cause)
    const text = `RabbitMQ at ${broker} (AMQP_URL) cannot be used: ${why}.`
    throw new Fault("unavailable", "cli.broker_unreachable", text, { cause })
  }
}
