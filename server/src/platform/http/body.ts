// Bodies are taken in whole, up to a limit and within a time, and read as JSON only when it is their turn: who may not
// send one is told that, and not what is wrong with it.
import type { IncomingMessage, ServerResponse } from "node:http"
import type { FastifyInstance, FastifyRequest } from "fastify"
import type { Clock } from "../clock/clock.ts"
import { Fault } from "../fault/fault.ts"

export interface BodyLimits {
  /** A JSON body comes within it. */
  bodyDeadlineMs: number
  /** A streamed one may stand still for so long. */
  streamIdleMs: number
  /** What a refused body may still take. */
  bodyLingerMs: number
}

export function addBodyParser(
  server: FastifyInstance,
  given: { bodyLimitBytes: number; platform: { config: { http: BodyLimits } } },
): void {
  const limits = given.platform.config.http
  server.removeAllContentTypeParsers()
  // Clients of some years send JSON without saying so; octets are left to the handler as a stream.
  server.addContentTypeParser("*", ({ found, headers }, payload, done) => {
    // Where there is nothing, what was sent to it does not matter: 404, and not a complaint about a body.
    if (!found) payload.resume()
    if (!found || found.raw || headers["content-type"]?.startsWith("application/octet-stream"))
      return done(null, undefined)
    takeIn(payload, { limit: found.bodyLimitBytes ?? given.bodyLimitBytes, ...limits }, done)
  })
}

/** From the first header on: no body comes for ever, whether somebody reads it or not. */
export function watchBody(request: FastifyRequest, response: ServerResponse, limits: BodyLimits): void {
  const body = request.raw
  const { headers } = body
  if (headers["transfer-encoding"] === undefined && Number(headers["content-length"] ?? 0) === 0) return
  const raw = request.found?.raw
  if (raw) watchStream(body, limits.streamIdleMs)
  if (raw?.isPublic) endLate(body, limits.bodyDeadlineMs)
  // Most clients listen only when they have sent all, so what is left after an answer is read and forgotten.
  response.once("finish", () => {
    if (body.complete || body.readableEnded) return
    const timer = setTimeout(() => body.destroy(), limits.bodyLingerMs)
    body.once("close", () => clearTimeout(timer))
  })
}

/** A stranger's stream is short, and must not trickle. */
function endLate(body: IncomingMessage, deadlineMs: number): void {
  const timer = setTimeout(() => body.complete || body.destroy(bodyLate(deadlineMs)), deadlineMs)
  for (const event of ["end", "close"]) body.once(event, () => clearTimeout(timer))
}

/** Ends an upload whose sender sends nothing for so long (up to twice that); its reader gets the fault. */
function watchStream(body: IncomingMessage, idleMs: number): void {
  let seen = -1
  const timer = setInterval(() => {
    if (body.complete || body.destroyed) return clearInterval(timer)
    const now = body.socket.bytesRead
    // What waits for its reader is not the sender's fault.
    if (now === seen && body.readableLength === 0) body.destroy(bodyStalled(idleMs))
    seen = now
  }, idleMs)
  for (const event of ["end", "close"]) body.once(event, () => clearInterval(timer))
}

const seconds = (ms: number) => `${ms / 1000} s`

function bodyStalled(idleMs: number): Fault {
  const message = `The body of the request stood still for ${seconds(idleMs)}.`
  return new Fault("timed_out", "request.body_stalled", message)
}

function bodyLate(deadlineMs: number): Fault {
  const message = `The body of the request did not come within ${seconds(deadlineMs)}.`
  return new Fault("timed_out", "request.body_late", message)
}

/**
 * Reads a refused upload to its end and forgets it. Most clients listen for an answer only when they have sent all:
 * without this they would wait for us, and we for them.
 */
export async function swallowRest(body: IncomingMessage, clock: Clock, limits: BodyLimits): Promise<void> {
  if (body.complete || body.readableEnded || body.destroyed) return
  const over = new AbortController()
  for (const event of ["end", "error", "close"]) body.once(event, () => over.abort())
  body.resume()
  await clock.sleep(limits.bodyLingerMs, over.signal).catch(() => {})
}

function takeIn(
  body: IncomingMessage,
  { limit, bodyDeadlineMs }: { limit: number; bodyDeadlineMs: number },
  done: (error: Error | null, body?: Buffer) => void,
): void {
  const chunks: Buffer[] = []
  let size = 0
  const end = (error: Fault | null) => {
    clearTimeout(timer)
    body.off("data", take).off("end", whole).off("close", broken)
    // What still comes is nobody's; the watch bounds it.
    body.resume()
    if (error) done(error)
    else done(null, size === 0 ? undefined : Buffer.concat(chunks))
  }
  const take = (chunk: Buffer) => {
    size += chunk.length
    if (size > limit) end(bodyTooLarge(limit))
    else chunks.push(chunk)
  }
  const whole = () => end(null)
  const broken = () =>
    end(new Fault("invalid", "request.body_incomplete", "The body of the request ended before its end."))
  const timer = setTimeout(() => end(bodyLate(bodyDeadlineMs)), bodyDeadlineMs)
  body.on("error", () => {})
  body.on("data", take).on("end", whole).on("close", broken)
  if (Number(body.headers["content-length"] ?? 0) > limit) end(bodyTooLarge(limit))
}

function bodyTooLarge(limit: number): Fault {
  const message = `Request is too large: at most ${limit} bytes are taken.`
  return new Fault("too_large", "request.body_too_large", message)
}
