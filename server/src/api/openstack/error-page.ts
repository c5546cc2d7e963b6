// The small error page that several of the real services send: HTML, JSON for who accepts that and not HTML, else
// plain text, also for who says nothing about what is accepted.
import type { ErrorReply, WireRequest } from "../../platform/http/wire.ts"

export interface ErrorPage {
  status: number
  title: string
  message: string
}

export function renderErrorPage(page: ErrorPage, headers: WireRequest["headers"]): ErrorReply {
  const { type, body } = render(page, headers)
  return { status: page.status, body, headers: { "content-type": `${type}; charset=UTF-8` } }
}

function render(page: ErrorPage, headers: WireRequest["headers"]): { type: string; body: string } {
  const { status, title, message } = page
  const name = `${status} ${title}`
  switch (preferred(headers.accept)) {
    case "html":
      return {
        type: "text/html",
        body:
          `<html>\n <head>\n  <title>${name}</title>\n </head>\n <body>\n  <h1>${name}</h1>\n  ` +
          `${escapeHtml(message)}<br /><br />\n\n\n\n </body>\n</html>`,
      }
    case "json":
      return { type: "application/json", body: JSON.stringify({ message, code: name, title }) }
    case "plain":
      return { type: "text/plain", body: `${name}\n\n${message}\n\n` }
  }
}

/** HTML wins when both are as welcome. */
function preferred(accept: string | string[] | undefined): "html" | "json" | "plain" {
  const text = Array.isArray(accept) ? accept.join(",") : (accept ?? "")
  const quality = (type: string) => {
    let best = { rank: -1, q: 0 }
    for (const part of text.split(",")) {
      const [range = "", ...parameters] = part.split(";").map((p) => p.trim().toLowerCase())
      const rank = range === type ? 2 : range === `${type.split("/")[0]}/*` ? 1 : range === "*/*" ? 0 : -1
      const q = Number(parameters.find((p) => p.startsWith("q="))?.slice(2) ?? "1")
      if (rank > best.rank) best = { rank, q }
    }
    return best.q
  }
  const [html, json] = [quality("text/html"), quality("application/json")]
  if (html === 0 && json === 0) return "plain"
  return json > html ? "json" : "html"
}

function escapeHtml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#x27;")
}
