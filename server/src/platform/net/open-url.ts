// Reads what an address that a user named leads to, without lending the user our place in the network: only public
// addresses are asked, or those that the operator named. The connection goes to the very address that was looked at
// (a name may mean another one the next time it is asked for), and a redirect is judged like the first address.
import { lookup } from "node:dns"
import type { ClientRequestArgs, IncomingMessage } from "node:http"
import { request as requestHttps } from "node:https"
import { isIP, type LookupFunction } from "node:net"
import { networkInterfaces } from "node:os"
import { request as requestHttp } from "../http/node-http.ts"
import { isPublicAddress, type Ranges } from "./ranges.ts"

export interface OpenRules {
  /** Names of hosts, as in the address; `*` is every host. */
  hosts: readonly string[]
  ports: readonly number[]
  /** Addresses that may be asked although they are not public. */
  ranges: Ranges
  /** The connection may stand still for so long. */
  idleMs: number
  /** The whole of it, to the last byte. */
  deadlineMs: number
  redirectsMost: number
}

/** The message completes "cannot be read: …". It never says which addresses a name has: that may be a secret. */
export class OpenRefused extends Error {}

export interface Opened {
  /** Of all there is, wherever the body begins, as announced; null when nothing was said. */
  sizeBytes: number | null
  body: AsyncIterable<Uint8Array>
}

export interface OpenOptions {
  signal: AbortSignal
  /** The first byte of the body; default: the first there is. */
  from?: number
}

/** Why the address may not be asked, as far as it can be told without asking for its name. */
export function refuseUrl(uri: string, { hosts, ports, ranges }: OpenRules): string | null {
  const url = URL.parse(uri)
  if (!url) return "it is not an address"
  if (url.protocol !== "http:" && url.protocol !== "https:") return "only http and https can be read"
  if (url.username || url.password) return "an address must not name a user"
  const port = portOf(url)
  if (!ports.includes(port)) return `port ${port} is none of those that may be asked (${ports.join(", ")})`
  if (!hosts.includes("*") && !hosts.includes(url.hostname))
    return `host ${url.hostname} is none of those that may be asked`
  const host = hostOf(url)
  if (isIP(host) !== 0 && !mayAsk(host, ranges)) return notPublic(host)
  return null
}

export async function openUrl(
  uri: string,
  rules: OpenRules,
  { signal, from = 0 }: OpenOptions,
): Promise<Opened> {
  const until = AbortSignal.any([signal, AbortSignal.timeout(rules.deadlineMs)])
  const explain = (error: unknown) => {
    signal.throwIfAborted()
    if (until.aborted) return new OpenRefused(`it was not read within ${rules.deadlineMs / 1000} s`)
    return error instanceof OpenRefused ? error : new OpenRefused(messageOf(error))
  }
  let address = uri
  for (let hop = 0; hop <= rules.redirectsMost; hop++) {
    const refused = refuseUrl(address, rules)
    if (refused) throw new OpenRefused(refused)
    const answer = await ask(new URL(address), rules, until, from).catch((error: unknown) => {
      throw explain(error)
    })
    const status = answer.statusCode ?? 0
    // A server that knows no ranges sends all.
    if (status === 200) return { sizeBytes: sizeOf(answer), body: bodyOf(answer, explain, from) }
    const part = status === 206 && from > 0 ? partOf(answer) : null
    if (part?.from === from) return { sizeBytes: part.sizeBytes, body: bodyOf(answer, explain, 0) }
    answer.destroy()
    const next = status >= 300 && status < 400 ? answer.headers.location : undefined
    if (next === undefined) throw new OpenRefused(`the server answered ${status}`)
    const target = URL.parse(next, address)
    if (!target) throw new OpenRefused("the server sends us to what is no address")
    address = target.href
  }
  throw new OpenRefused(`there are more than ${rules.redirectsMost} redirects`)
}

function ask(url: URL, rules: OpenRules, signal: AbortSignal, from: number): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const host = hostOf(url)
  const options: ClientRequestArgs = {
    host,
    port: portOf(url),
    path: `${url.pathname}${url.search}`,
    // A connection of its own: one that is kept was opened for somebody else's question.
    agent: false,
    signal,
    lookup: lookUpAllowed(rules.ranges),
    // As stored: an encoding for the way would be undone before it is hashed.
    headers: {
      host: url.host,
      "accept-encoding": "identity",
      "user-agent": "kumoi",
      ...(from > 0 ? { range: `bytes=${from}-` } : {}),
    },
  }
  const send = url.protocol === "https:" ? requestHttps : requestHttp
  let answer: IncomingMessage | undefined
  const request = send(options, (found) => {
    answer = found
    resolve(found)
  })
  request.setTimeout(rules.idleMs, () => {
    const why = new OpenRefused(`the server stood still for ${rules.idleMs / 1000} s`)
    // Of a request that has its answer, the answer fails.
    if (answer) answer.destroy(why)
    else request.destroy(why)
  })
  request.on("error", reject)
  request.end()
  return promise
}

function lookUpAllowed(ranges: Ranges): LookupFunction {
  return (name, options, callback) => {
    lookup(name, { ...options, all: true }, (error, found) => {
      if (error) return callback(error, [])
      const usable = found.filter(({ address }) => mayAsk(address, ranges))
      const [first] = usable
      if (!first) callback(new OpenRefused(notPublic(name)), [])
      else if (options.all) callback(null, usable)
      else callback(null, first.address, first.family)
    })
  }
}

/** This machine's own addresses may be public ones, and what listens on them is not meant for its users. */
function mayAsk(address: string, ranges: Ranges): boolean {
  if (ranges.has(address)) return true
  return isPublicAddress(address) && !isOwnAddress(address)
}

function isOwnAddress(address: string): boolean {
  return Object.values(networkInterfaces()).some((all) => all?.some((own) => own.address === address))
}

const notPublic = (host: string) => `host ${host} has no public address, and none that the operator allows`

async function* bodyOf(answer: IncomingMessage, explain: (error: unknown) => Error, skip: number) {
  let toSkip = skip
  try {
    for await (const chunk of answer) {
      const bytes = chunk as Uint8Array
      const skipped = Math.min(toSkip, bytes.byteLength)
      toSkip -= skipped
      if (skipped < bytes.byteLength) yield bytes.subarray(skipped)
    }
  } catch (error) {
    throw explain(error)
  }
}

function sizeOf(answer: IncomingMessage): number | null {
  const text = answer.headers["content-length"]
  return text === undefined ? null : Number(text)
}

function partOf(answer: IncomingMessage): { from: number; sizeBytes: number | null } | null {
  const [, from, all] =
    /^bytes (\d{1,15})-\d{1,15}\/(\d{1,15}|\*)$/.exec(answer.headers["content-range"] ?? "") ?? []
  if (from === undefined || all === undefined) return null
  return { from: Number(from), sizeBytes: all === "*" ? null : Number(all) }
}

const portOf = (url: URL) => (url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port))
const hostOf = (url: URL) => url.hostname.replace(/^\[(.*)\]$/, "$1")

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // Several addresses were tried: each has its own reason.
  if (error instanceof AggregateError) return error.errors.map(messageOf).join(", ")
  return error.message
}
