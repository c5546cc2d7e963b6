// Bodies are taken in whole, up to a limit, and read as JSON only when it is their turn: who may not send one is
// told that, and not what is wrong with it.
import type { IncomingMessage } from "node:http"
import type { FastifyInstance, FastifyRequest } from "fastify"
import type { Clock } from "../clock/clock.ts"
import { Fault } from "../fault/fault.ts"
import type { Api } from "./wire.ts"

export function addBodyParsers(scope: FastifyInstance): void {
  scope.removeAllContentTypeParsers()
  const wantsRaw = (request: FastifyRequest) => rawRoutes.has(`${request.method} ${request.routeOptions.url}`)
  scope.addContentTypeParser(/^application\/(.*\+)?json/, (request, payload, done) => {
    if (wantsRaw(request)) return done(null, undefined)
    takeIn(payload, request.routeOptions.bodyLimit, done)
  })
  // Clients of some years send JSON without saying so; anything else is left to the handler as a stream.
  scope.addContentTypeParser("*", (request, payload, done) => {
    if (wantsRaw(request) || request.headers["content-type"]?.startsWith("application/octet-stream"))
      return done(null, undefined)
    takeIn(payload, request.routeOptions.bodyLimit, done)
  })
}

/** Where there is nothing, what was sent to it does not matter: 404, and not a complaint about a body. */
export function ignoreBodies(scope: FastifyInstance): void {
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser("*", (_request, payload, done) => {
    payload.resume()
    done(null, undefined)
  })
}

/** Paths whose handler reads the stream itself. */
const rawRoutes = new Set<string>()

/** Must run before the server listens; kept apart so that parsers can ask by path. */
export function declareRawRoutes(apis: readonly Api[]): void {
  for (const api of apis) {
    for (const mount of api.mounts) {
      for (const route of api.routes) {
        if (!route.rawBody) continue
        const path = `${mount}${api.version}${route.path}`.replaceAll(/\{([^}]+)\}/g, ":$1")
        rawRoutes.add(`${route.method} ${path}`)
      }
    }
  }
}

/** What a refused upload may still take; a client that needs longer loses its connection. */
const lingerMs = 30_000

/**
 * Reads a refused upload to its end and forgets it. Most clients listen for an answer only when they have sent all:
 * without this they would wait for us, and we for them.
 */
export async function swallowRest(body: IncomingMessage, clock: Clock): Promise<void> {
  if (body.complete || body.readableEnded || body.destroyed) return
  const over = new AbortController()
  for (const event of ["end", "error", "close"]) body.once(event, () => over.abort())
  body.resume()
  await clock.sleep(lingerMs, over.signal).catch(() => {})
}

function takeIn(
  payload: IncomingMessage,
  limit: number,
  done: (error: Error | null, body?: Buffer) => void,
): void {
  const chunks: Buffer[] = []
  let size = 0
  payload.on("data", (chunk: Buffer) => {
    size += chunk.length
    if (size <= limit) chunks.push(chunk)
  })
  payload.on("error", (error) => done(error))
  payload.on("end", () => {
    if (size <= limit) return done(null, size === 0 ? undefined : Buffer.concat(chunks))
    const message = `Request is too large: ${size} bytes, at most ${limit} are taken.`
    done(new Fault("too_large", "request.body_too_large", message))
  })
}

/** What `takeIn` took, as JSON; nothing stays nothing. */
export function readJson(body: unknown): unknown {
  if (!Buffer.isBuffer(body)) return undefined
  try {
    return JSON.parse(body.toString("utf8"))
  } catch (error) {
    const why = error instanceof Error ? error.message : ""
    throw new Fault(
      "invalid",
      "request.malformed_json",
      `Malformed request body: it is not valid JSON (${why}).`,
    )
  }
}
