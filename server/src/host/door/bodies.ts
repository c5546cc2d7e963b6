// What comes to the door as JSON: bounded in bytes and time, and checked.
import type { IncomingMessage } from "node:http"
import { type Static, type TSchema, Type } from "typebox"
import {
  hostNameLengthMost,
  hostNamePattern,
  type JoinRequest,
  type RenewRequest,
} from "../../agent/door-protocol.ts"
import { addressOfEnd } from "../../platform/net/address.ts"
import { fits } from "../../platform/schema/compiled.ts"
import { mistakeIn } from "../../platform/schema/mistake.ts"
import { badDoorRequest } from "../faults.ts"

const bytesMost = 65_536
const withinMs = 10_000

const JoinBody = Type.Object({
  token: Type.String({ maxLength: 200 }),
  name: Type.String({ pattern: hostNamePattern, maxLength: hostNameLengthMost }),
  address: Type.String({ maxLength: 64 }),
  request: Type.String({ maxLength: 10_000 }),
  at: Type.String({ format: "date-time", maxLength: 40 }),
  isControl: Type.Optional(Type.Boolean()),
})
const RenewBody = Type.Object({ request: Type.String({ maxLength: 10_000 }) })

export async function readJoinBody(request: IncomingMessage): Promise<JoinRequest> {
  const body = await readJson(request, JoinBody)
  const address = addressOfEnd(body.address)
  if (address === undefined) throw badDoorRequest("`address` must be an IP address.")
  return { ...body, address }
}

export async function readRenewBody(request: IncomingMessage): Promise<RenewRequest> {
  return await readJson(request, RenewBody)
}

async function readJson<T extends TSchema>(request: IncomingMessage, schema: T): Promise<Static<T>> {
  const late = setTimeout(() => request.destroy(badDoorRequest("The body did not come in time.")), withinMs)
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > bytesMost) throw badDoorRequest(`The body may have ${bytesMost} bytes.`)
      chunks.push(chunk)
    }
  } finally {
    clearTimeout(late)
  }
  let body: unknown
  try {
    body = JSON.parse(Buffer.concat(chunks).toString())
  } catch {
    throw badDoorRequest("The body must be JSON.")
  }
  // The schema has just said so.
  if (fits(schema, body)) return body as Static<T>
  throw badDoorRequest(mistakeIn(schema, body))
}
