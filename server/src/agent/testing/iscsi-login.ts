// An initiator of a few lines that says of itself what programs do not: a login by CHAP (RFC 7143, RFC 1994).
import { createHash } from "node:crypto"
import { connect, type Socket } from "node:net"
import type { VolumeConnection } from "../protocol.ts"

const headBytes = 48
const opcodes = { login: 0x43 } as const
const stages = { security: 0, operational: 1, full: 3 } as const

/** Logged in until the socket is closed. `alias` is what it calls itself. Throws when it is not let in. */
export async function logInByIscsi(
  { portal, target, user, secret, initiator }: VolumeConnection,
  alias: string,
): Promise<Socket> {
  const [host = "", port] = portal.split(":")
  const socket = connect({ host, port: Number(port) })
  const answers = answersOf(socket)
  const ask = async (stage: [number, number], words: Record<string, string>) => {
    const [from, to] = stage
    socket.write(loginRequest(from, to, words))
    const { value } = await answers.next()
    if (!value) throw new Error("the target has hung up")
    if (value.status !== 0) throw new Error(`the target does not let it in: ${value.status.toString(16)}`)
    return value.words
  }
  const { security, operational, full } = stages
  await ask([security, security], {
    InitiatorName: initiator,
    InitiatorAlias: alias,
    TargetName: target,
    SessionType: "Normal",
    AuthMethod: "CHAP",
  })
  const asked = await ask([security, security], { CHAP_A: "5" })
  const challenge = Buffer.from((asked.CHAP_C ?? "").slice(2), "hex")
  const answer = createHash("md5")
    .update(Buffer.from([Number(asked.CHAP_I)]))
    .update(secret)
    .update(challenge)
  await ask([security, operational], { CHAP_N: user, CHAP_R: `0x${answer.digest("hex")}` })
  await ask([operational, full], { HeaderDigest: "None", DataDigest: "None" })
  return socket
}

function loginRequest(from: number, to: number, words: Record<string, string>): Buffer {
  const text = Buffer.from(
    Object.entries(words)
      .map(([key, value]) => `${key}=${value}\0`)
      .join(""),
  )
  const head = Buffer.alloc(headBytes)
  head[0] = opcodes.login
  const isLast = from !== to
  head[1] = (isLast ? 0x80 : 0) | (from << 2) | (isLast ? to : 0)
  head.writeUIntBE(text.length, 5, 3)
  // An initiator's own number of the session.
  head.writeUIntBE(0x80_00_00_00_00_01, 8, 6)
  head.writeUInt32BE(1, 16)
  return Buffer.concat([head, text, Buffer.alloc((4 - (text.length % 4)) % 4)])
}

async function* answersOf(
  socket: Socket,
): AsyncGenerator<{ status: number; words: Record<string, string> }, undefined> {
  let got: Buffer = Buffer.alloc(0)
  for await (const data of socket) {
    got = Buffer.concat([got, data])
    while (got.length >= headBytes) {
      const length = got.readUIntBE(5, 3)
      const wholeBytes = headBytes + Math.ceil(length / 4) * 4
      if (got.length < wholeBytes) break
      const text = got.subarray(headBytes, headBytes + length).toString()
      const pairs = text
        .split("\0")
        .filter((word) => word.includes("="))
        .map((word) => [word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1)])
      yield { status: got.readUInt16BE(36), words: Object.fromEntries(pairs) }
      got = got.subarray(wholeBytes)
    }
  }
}
