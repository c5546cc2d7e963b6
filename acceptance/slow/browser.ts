// A person's browser: Debian's Chromium without a window, over the DevTools protocol.
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { eventually } from "../cloud.ts"

const answerTimeoutMs = 60_000

interface Key {
  key: string
  code: string
  text?: string
  windowsVirtualKeyCode?: number
}

const otherKeys: Readonly<Record<string, Key>> = {
  "\n": { key: "Enter", code: "Enter", text: "\r", windowsVirtualKeyCode: 13 },
  " ": { key: " ", code: "Space", text: " ", windowsVirtualKeyCode: 32 },
  "-": { key: "-", code: "Minus", text: "-", windowsVirtualKeyCode: 189 },
  "/": { key: "/", code: "Slash", text: "/", windowsVirtualKeyCode: 191 },
  "=": { key: "=", code: "Equal", text: "=", windowsVirtualKeyCode: 187 },
}

function keyOf(letter: string): Key {
  const upper = letter.toUpperCase()
  const code = /\d/.test(letter) ? `Digit${letter}` : `Key${upper}`
  return otherKeys[letter] ?? { key: letter, code, text: letter, windowsVirtualKeyCode: upper.charCodeAt(0) }
}

interface Message {
  id?: number
  method?: string
  params?: { entry?: { level: string } }
  result?: Record<string, unknown>
  error?: { message: string }
}

export class Browser implements AsyncDisposable {
  readonly #process: ChildProcess
  readonly #profile: string
  readonly #socket: WebSocket
  readonly #waiting = new Map<number, PromiseWithResolvers<Record<string, unknown>>>()
  /** What the pages complained about: scripts, refused parts. */
  readonly complaints: string[] = []
  #count = 0

  private constructor(child: ChildProcess, profile: string, socket: WebSocket) {
    this.#process = child
    this.#profile = profile
    this.#socket = socket
    socket.addEventListener("message", ({ data }) => this.#take(JSON.parse(String(data))))
  }

  /** One page, which shows nothing yet. `start` runs a program where the cloud can be reached. */
  static async open(
    start: (file: string, args: readonly string[]) => ChildProcess = spawn,
  ): Promise<Browser> {
    const profile = mkdtempSync(join(tmpdir(), "kumoi-browser-"))
    const child = start("chromium", [
      ...["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"],
      ...["--remote-debugging-port=0", `--user-data-dir=${profile}`, "--window-size=1000,800", "about:blank"],
    ])
    child.stdout?.resume()
    child.stderr?.resume()
    const port = await eventually("the browser", async () => {
      const [first] = readFileSync(join(profile, "DevToolsActivePort"), "utf8").split("\n")
      return first
    })
    const listed = await fetch(`http://127.0.0.1:${port}/json/list`)
    const pages = (await listed.json()) as { type: string; webSocketDebuggerUrl: string }[]
    const page = pages.find(({ type }) => type === "page")
    if (!page) throw new Error("the browser has no page")
    const socket = new WebSocket(page.webSocketDebuggerUrl)
    await once(socket, "open")
    const browser = new Browser(child, profile, socket)
    for (const domain of ["Page", "Runtime", "Log"]) await browser.#ask(`${domain}.enable`)
    return browser
  }

  #take({ id, method, params, result, error }: Message): void {
    if (method === "Runtime.exceptionThrown" || params?.entry?.level === "error")
      this.complaints.push(JSON.stringify(params))
    const waiting = id === undefined ? undefined : this.#waiting.get(id)
    if (error) waiting?.reject(new Error(error.message))
    else waiting?.resolve(result ?? {})
    if (id !== undefined) this.#waiting.delete(id)
  }

  async #ask(method: string, params: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    const id = ++this.#count
    const waiting = Promise.withResolvers<Record<string, unknown>>()
    this.#waiting.set(id, waiting)
    const timer = setTimeout(() => waiting.reject(new Error(`${method}: no answer`)), answerTimeoutMs)
    this.#socket.send(JSON.stringify({ id, method, params }))
    return await waiting.promise.finally(() => clearTimeout(timer))
  }

  async goTo(url: string): Promise<void> {
    await this.#ask("Page.navigate", { url })
  }

  /** What a script of the page says; JSON. */
  async evaluate(expression: string): Promise<unknown> {
    const options = { expression, returnByValue: true, awaitPromise: true }
    const { result } = await this.#ask("Runtime.evaluate", options)
    return (result as { value?: unknown }).value
  }

  /** As somebody at a keyboard: letters, digits, spaces, dashes, slashes and line ends. */
  async type(text: string): Promise<void> {
    for (const letter of text) {
      const isUpper = /[A-Z]/.test(letter)
      if (isUpper) await this.#press("keyDown", { key: "Shift", code: "ShiftLeft" })
      for (const type of ["keyDown", "keyUp"]) await this.#press(type, keyOf(letter))
      if (isUpper) await this.#press("keyUp", { key: "Shift", code: "ShiftLeft" })
    }
  }

  async #press(type: string, key: Key): Promise<void> {
    await this.#ask("Input.dispatchKeyEvent", { type, ...key })
  }

  async screenshot(): Promise<Buffer> {
    const { data } = await this.#ask("Page.captureScreenshot", { format: "png" })
    return Buffer.from(String(data), "base64")
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close()
    const ended = once(this.#process, "exit")
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.kill("SIGTERM")
      await ended
    }
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 })
  }
}
