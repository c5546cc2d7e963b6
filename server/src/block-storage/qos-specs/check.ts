import { qosSpecsInvalid } from "../faults.ts"
import { problemOfSpecs } from "./io-limits.ts"
import { type QosConsumer, qosConsumers } from "./qos-specs.ts"

const itemsMost = 128
const lengthMost = 255

const isConsumer = (text: string): text is QosConsumer => (qosConsumers as readonly string[]).includes(text)

/** Keys that nobody here knows are for others; those that a machine keeps to must be such that it can. */
export function checkSpecs(
  consumer: string,
  specs: Readonly<Record<string, string>>,
): asserts consumer is QosConsumer {
  if (!isConsumer(consumer))
    throw qosSpecsInvalid(
      `consumer: '${consumer.slice(0, lengthMost)}' is none of ${qosConsumers.join(", ")}.`,
    )
  const items = Object.entries(specs)
  if (items.length > itemsMost) throw qosSpecsInvalid(`${itemsMost} keys at the most are kept.`)
  for (const [key, value] of items) {
    if (key.length === 0 || key.length > lengthMost)
      throw qosSpecsInvalid(`a key is of 1 to ${lengthMost} characters.`)
    if (value.length > lengthMost)
      throw qosSpecsInvalid(`${key}: a value is of ${lengthMost} characters at the most.`)
  }
  const problem = consumer === "back-end" ? null : problemOfSpecs(specs)
  if (problem !== null) throw qosSpecsInvalid(problem)
}
