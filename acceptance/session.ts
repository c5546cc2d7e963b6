// A user of the cloud over plain HTTP: for what must be fast, many at once, or answered by something else than a
// client's own words.
import { run, type TestCloud } from "./cloud.ts"

const repository = new URL("..", import.meta.url).pathname

export interface Answer {
  status: number
  headers: Headers
  /** Parsed when it is JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: replies of many APIs, looked at field by field
  body: any
}

type Send = (url: string, method: string, body?: unknown, headers?: Record<string, string>) => Promise<Answer>

export class Session {
  readonly #send: Send
  readonly #url: string
  readonly #token: string
  readonly projectId: string

  private constructor(send: Send, url: string, token: string, projectId: string) {
    this.#send = send
    this.#url = url
    this.#token = token
    this.projectId = projectId
  }

  static async open(cloud: TestCloud, user: "admin" | "demo"): Promise<Session> {
    const printed = await run(`${repository}/kumoi`, ["env", "--data", cloud.dataDir, "--user", user])
    const send: Send = cloud.isApart ? (...request) => sendFrom(cloud, ...request) : sendFromHere
    return await Session.logIn(`http://127.0.0.1:${cloud.port}`, environmentOf(printed.stdout), send)
  }

  static async logIn(url: string, env: Record<string, string>, send: Send = sendFromHere): Promise<Session> {
    const domain = { id: "default" }
    const { OS_USERNAME: name, OS_PASSWORD: password, OS_PROJECT_NAME: project } = env
    const answer = await send(`${url}/identity/v3/auth/tokens`, "POST", {
      auth: {
        identity: { methods: ["password"], password: { user: { name, domain, password } } },
        scope: { project: { name: project, domain } },
      },
    })
    if (answer.status !== 201) throw new Error(`log-in was answered ${answer.status}`)
    return new Session(send, url, answer.headers.get("x-subject-token") ?? "", answer.body.token.project.id)
  }

  async send(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    return await this.#send(`${this.#url}${path}`, method, body, { "x-auth-token": this.#token, ...headers })
  }

  /** The body of a GET that must be answered 200. */
  async get(path: string): Promise<Answer["body"]> {
    const answer = await this.send("GET", path)
    if (answer.status !== 200) throw new Error(`GET ${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
    return answer.body
  }
}

/** `export NAME=value` lines, as `kumoi env` prints them. */
export function environmentOf(printed: string): Record<string, string> {
  const pairs = printed.matchAll(/^export (\w+)=(?:'(.*)'|"(.*)"|(.*))$/gm)
  return Object.fromEntries([...pairs].map(([, name, a, b, c]) => [name, a ?? b ?? c ?? ""]))
}

const answerTimeoutMs = 30_000

async function sendFromHere(
  url: string,
  method: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(url, {
    method,
    signal: AbortSignal.timeout(answerTimeoutMs),
    headers: { "content-type": "application/json", connection: "close", ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  return answerOf(response.status, response.headers, await response.text())
}

/** From within the network namespace of a cloud that has one, where only programs can be started. */
async function sendFrom(
  cloud: TestCloud,
  url: string,
  method: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const all = { "content-type": "application/json", ...headers }
  const { stdout } = await cloud.inside(
    "curl",
    [
      ...["--silent", "--show-error", "--include", "--max-time", String(answerTimeoutMs / 1000)],
      ...["--request", method, url],
      ...Object.entries(all).flatMap(([name, value]) => ["--header", `${name}: ${value}`]),
      ...(body === undefined ? [] : ["--data-binary", "@-"]),
    ],
    { input: body === undefined ? "" : JSON.stringify(body) },
  )
  const end = stdout.indexOf("\r\n\r\n")
  const [first = "", ...lines] = stdout.slice(0, end).split("\r\n")
  const pairs = lines.map((line): [string, string] => {
    const colon = line.indexOf(":")
    return [line.slice(0, colon), line.slice(colon + 1).trim()]
  })
  return answerOf(Number(first.split(" ")[1]), new Headers(pairs), stdout.slice(end + 4))
}

function answerOf(status: number, headers: Headers, text: string): Answer {
  const isJson = headers.get("content-type")?.includes("json") && text !== ""
  return { status, headers, body: isJson ? JSON.parse(text) : text }
}
