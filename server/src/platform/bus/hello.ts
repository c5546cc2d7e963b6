// What the two ends of a connection say of themselves first: which program each is, and which versions of the protocol
// it speaks. An end that says nothing is of before there was a hello, and speaks the first version (ADR 45).
import { type Static, Type } from "typebox"
import { fault } from "../fault/fault.ts"
import { firstProtocol, ownProgram, type ProtocolRange } from "../program/program.ts"
import { fits } from "../schema/compiled.ts"

const Version = Type.Integer({ minimum: 1, maximum: 1_000_000 })

/** What else a newer end says is not looked at. */
const HelloBody = Type.Object({
  /** Null: of before there was a hello. */
  program: Type.Union([Type.String({ maxLength: 200 }), Type.Null()]),
  protocol: Type.Object({ oldest: Version, newest: Version }),
})
export type Hello = Static<typeof HelloBody>

export function ownHello(): Hello {
  const { version, protocol } = ownProgram()
  return { program: version, protocol }
}

/** Of an end that says none. */
export const firstHello: Hello = { program: null, protocol: firstProtocol }

export const helloWrong = fault(
  "invalid",
  "bus.hello.wrong",
  () => "A hello says a program and the protocol versions that it speaks.",
)

/** `1`, `1 to 3`. */
export function rangeWords({ oldest, newest }: ProtocolRange): string {
  return oldest === newest ? String(oldest) : `${oldest} to ${newest}`
}

/** `0.1.0+5ae09a5f (protocol 1 to 2)`. */
function helloWords({ program, protocol }: Hello): string {
  return `${program ?? "a program of before versions were told"} (protocol ${rangeWords(protocol)})`
}

export const hostTooOld = fault(
  "unsupported",
  "bus.hello.host_too_old",
  (host: Hello, cloud: Hello) =>
    `The host runs ${helloWords(host)}, too old for its cloud, which runs ${helloWords(cloud)}. Upgrade the host.`,
)
export const cloudTooOld = fault(
  "unsupported",
  "bus.hello.cloud_too_old",
  (host: Hello, cloud: Hello) =>
    `The host runs ${helloWords(host)}, too new for its cloud, which runs ${helloWords(cloud)}. Upgrade the cloud, or take the host back.`,
)

export function readHello(said: unknown): Hello {
  if (!fits(HelloBody, said)) throw helloWrong()
  // The schema has just said so.
  const { program, protocol } = said as Hello
  const { oldest, newest } = protocol
  if (oldest > newest) throw helloWrong()
  return { program, protocol: { oldest, newest } }
}

/** The newest version that both speak; throws with the one that is to be upgraded. */
export function agreedVersion(host: Hello, cloud: Hello): number {
  if (host.protocol.newest < cloud.protocol.oldest) throw hostTooOld(host, cloud)
  if (cloud.protocol.newest < host.protocol.oldest) throw cloudTooOld(host, cloud)
  return Math.min(host.protocol.newest, cloud.protocol.newest)
}
