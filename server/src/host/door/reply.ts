// What the door reads of a request's head, and how it answers.
import type { IncomingMessage, ServerResponse } from "node:http"

/** The header, of several the first; "" when there is none. */
export function headerOf(request: IncomingMessage, name: string): string {
  const value = request.headers[name]
  return (Array.isArray(value) ? value[0] : value)?.trim() ?? ""
}

export function sendJson(response: ServerResponse, body: unknown): void {
  send(response, 200, body)
}

export function send(response: ServerResponse, status: number, body: unknown): void {
  const bytes = Buffer.from(JSON.stringify(body))
  response.writeHead(status, { "content-type": "application/json", "content-length": bytes.length })
  response.end(bytes)
}
