// A user of the cloud over plain HTTP: for what must be fast, many at once, or answered by something else than a
// client's own words. A call of the stock client costs a second of processor; one here costs milliseconds.
import { chmodSync, writeFileSync } from "node:fs"
import { eventually, run, type TestCloud } from "./cloud.ts"

const repository = new URL("..", import.meta.url).pathname

export interface Answer {
  status: number
  headers: Headers
  /** Parsed when it is JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: replies of many APIs, looked at field by field
  body: any
}

export interface Server {
  id: string
  name: string
  status: string
  fault?: { message: string }
  addresses: Record<string, { addr: string }[]>
  "OS-EXT-STS:power_state": number
  "OS-EXT-SRV-ATTR:host"?: string
}

export interface WantedServer {
  name: string
  /** Names; by default the one that every cloud begins with. */
  networks?: readonly string[] | "none"
  key_name?: string
  /** Where it must run; for admin. */
  host?: string
  adminPass?: string
  config_drive?: boolean
}

const smallestFlavor = "42"
/** The first that knows servers with a host of choice. */
const novaVersion = { "openstack-api-version": "compute 2.74" }

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

  /** `dataDir`: of another control host of the cloud, which works now. */
  static async open(
    cloud: TestCloud,
    user: "admin" | "demo",
    dataDir: string = cloud.dataDir,
  ): Promise<Session> {
    const printed = await run(`${repository}/kumoi`, ["env", "--data", dataDir, "--user", user])
    const send: Send = cloud.isApart ? (...request) => sendFrom(cloud, ...request) : sendFromHere
    const env = environmentOf(printed.stdout)
    return await Session.logIn(env.OS_AUTH_URL?.replace(/\/identity.*/, "") ?? "", env, send)
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

  /** The body of an answer that must not be a refusal. */
  async must(...request: Parameters<Session["send"]>): Promise<Answer["body"]> {
    const { status, body } = await this.send(...request)
    if (status >= 300) throw new Error(`${request[0]} ${request[1]}: ${status} ${JSON.stringify(body)}`)
    return body
  }

  async get(path: string): Promise<Answer["body"]> {
    return await this.must("GET", path)
  }

  async imageId(name: string): Promise<string> {
    const { images } = await this.get(`/image/v2/images?name=${name}`)
    return idOfOnly(images, `image ${name}`)
  }

  async networkId(name: string): Promise<string> {
    const { networks } = await this.get(`/network/v2.0/networks?name=${name}`)
    return idOfOnly(networks, `network ${name}`)
  }

  /** With one subnet; returns its id. */
  async createNetwork(
    wanted: { name: string } & Record<string, unknown>,
    subnet: { cidr: string } & Record<string, unknown>,
  ): Promise<string> {
    const { network } = await this.must("POST", "/network/v2.0/networks", { network: wanted })
    const whole = { ip_version: 4, network_id: network.id, ...subnet }
    await this.must("POST", "/network/v2.0/subnets", { subnet: whole })
    return network.id
  }

  /** Lets ping and ssh in to the project's servers. */
  async letIn(): Promise<void> {
    const groups = await this.get(`/network/v2.0/security-groups?name=default&project_id=${this.projectId}`)
    const security_group_id = idOfOnly(groups.security_groups, "default security group")
    for (const rule of [{ protocol: "icmp" }, { protocol: "tcp", port_range_min: 22, port_range_max: 22 }]) {
      const security_group_rule = { ...rule, direction: "ingress", security_group_id }
      await this.must("POST", "/network/v2.0/security-group-rules", { security_group_rule })
    }
  }

  /** Makes a key pair and leaves its private key in `file`, as ssh wants it. */
  async createKey(name: string, file: string): Promise<void> {
    const { keypair } = await this.must("POST", "/compute/v2.1/os-keypairs", { keypair: { name } })
    writeFileSync(file, keypair.private_key)
    chmodSync(file, 0o600)
  }

  /** Of the small guest image, in the smallest flavor. Returns its id at once; `untilStatus` waits for it. */
  async createServer({ networks = ["private"], ...wanted }: WantedServer): Promise<string> {
    const server = {
      ...wanted,
      flavorRef: smallestFlavor,
      imageRef: await this.imageId("kumoi-guest"),
      networks:
        networks === "none"
          ? networks
          : await Promise.all(networks.map(async (name) => ({ uuid: await this.networkId(name) }))),
    }
    return (await this.must("POST", "/compute/v2.1/servers", { server }, novaVersion)).server.id
  }

  async server(id: string): Promise<Server> {
    return (await this.get(`/compute/v2.1/servers/${id}`)).server
  }

  /** ERROR ends the wait as well: nothing leads out of it by itself. */
  async untilStatus(id: string, status: string): Promise<Server> {
    const server = await eventually(`server ${id} to be ${status}`, async () => {
      const now = await this.server(id)
      return [status, "ERROR"].includes(now.status) && now
    })
    if (server.status === status) return server
    throw new Error(`server ${id} is in ERROR and not ${status}: ${server.fault?.message}`)
  }

  async act(id: string, action: string, how: object | null = null): Promise<Answer["body"]> {
    return await this.must("POST", `/compute/v2.1/servers/${id}/action`, { [action]: how })
  }

  /** Returns when it is gone. */
  async deleteServer(id: string): Promise<void> {
    await this.must("DELETE", `/compute/v2.1/servers/${id}`)
    await eventually(`server ${id} to be gone`, async () => {
      return (await this.send("GET", `/compute/v2.1/servers/${id}`)).status === 404
    })
  }

  /** What its serial line has shown. */
  async consoleOf(id: string): Promise<string> {
    return (await this.act(id, "os-getConsoleOutput", {})).output
  }

  /** Makes a floating IP that leads to the server's address on the private network, and returns it. */
  async giveFloatingIp(serverId: string): Promise<string> {
    const asked = `device_id=${serverId}&network_id=${await this.networkId("private")}`
    const port_id = idOfOnly((await this.get(`/network/v2.0/ports?${asked}`)).ports, `port of ${serverId}`)
    const floatingip = { floating_network_id: await this.networkId("public"), port_id }
    const made = await this.must("POST", "/network/v2.0/floatingips", { floatingip })
    return made.floatingip.floating_ip_address
  }
}

function idOfOnly(found: readonly { id: string }[], what: string): string {
  const [first, ...more] = found
  if (!first || more.length > 0) throw new Error(`there are ${found.length} and not one: ${what}`)
  return first.id
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
