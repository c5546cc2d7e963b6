// Pages that show a machine's screen or serial line, and their parts: files of this folder and of two libraries, as
// they are. A page is the same for everybody; its address says which console, and only the WebSocket there asks.
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { dirname, extname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { fault } from "../../platform/fault/fault.ts"
import { type Route, route, withHeaders } from "../../platform/http/wire.ts"

const partUnknown = fault("not_found", "api.console.part_unknown", () => "There is no such part of a page.")

const ownDir = join(import.meta.dirname, "console")
const ownParts = ["page.js", "vnc.js", "serial.js", "console.css"] as const

/** Only when somebody asks: most clouds' processes never do. */
function packageDir(name: string, levels: number): string {
  const main = fileURLToPath(import.meta.resolve(name))
  return Array.from({ length: levels }).reduce<string>((path) => dirname(path), main)
}

/** Their names' first word, and where the rest of it lies. */
const libraries: Readonly<Record<string, (rest: string) => string>> = {
  novnc: (rest) => join(packageDir("@novnc/novnc", 2), rest),
  xterm: (rest) => join(packageDir("@xterm/xterm", 2), rest.endsWith(".css") ? "css" : "lib", rest),
}

const contentTypes: Readonly<Record<string, string>> = {
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
}

/** No name leads out of its folder: none has a part that is only dots. */
const partName = /^[\w-]+(\.[\w-]+)*(\/[\w-]+(\.[\w-]+)*)*$/

function pathOf(name: string): string | null {
  if (!partName.test(name) || contentTypes[extname(name)] === undefined) return null
  if (ownParts.some((part) => part === name)) return join(ownDir, name)
  const [library = "", ...rest] = name.split("/")
  return (Object.hasOwn(libraries, library) && libraries[library]?.(rest.join("/"))) || null
}

let known: string | null = null

/** Changes when a part does, so that browsers may keep parts for ever. */
function versionOfParts(): string {
  if (known !== null) return known
  const hash = createHash("sha256")
  for (const part of ownParts) hash.update(readFileSync(join(ownDir, part)))
  for (const name of ["@novnc/novnc", "@xterm/xterm"])
    hash.update(readFileSync(join(packageDir(name, 2), "package.json")))
  known = hash.digest("hex").slice(0, 16)
  return known
}

/** A dashboard may show a page within its own: whoever has the address may look anyway. */
const policy = (styles: string) =>
  "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' data: blob:; font-src 'self'; " +
  `style-src ${styles}; base-uri 'none'; form-action 'none'`

function page(path: string, file: string, styles: string): Route {
  return route({
    method: "GET",
    path,
    policy: "public",
    handler: async () => {
      const text = await readFile(join(ownDir, file), "utf8")
      return withHeaders(text.replaceAll("VERSION", versionOfParts()), {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": policy(styles),
        // The address is a secret.
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
      })
    },
  })
}

export const consolePages: readonly Route[] = [
  page("/console/vnc", "vnc.html", "'self'"),
  // xterm.js writes its own style sheets into the page.
  page("/console/serial", "serial.html", "'self' 'unsafe-inline'"),
  route({
    method: "GET",
    path: "/console/assets/{version}/*",
    policy: "public",
    handler: async (_ctx, { params }) => {
      const name = params["*"] ?? ""
      const path = params.version === versionOfParts() ? pathOf(name) : null
      if (path === null) throw partUnknown()
      const bytes = await readFile(path).catch(() => {
        throw partUnknown()
      })
      return withHeaders(bytes, {
        "content-type": contentTypes[extname(name)] ?? "",
        "cache-control": "public, max-age=31536000, immutable",
        "x-content-type-options": "nosniff",
      })
    },
  }),
]
