// Addresses and prefixes as numbers; texts are canonical (RFC 5952 for IPv6).
export type IpVersion = 4 | 6

export interface Address {
  version: IpVersion
  value: bigint
}

export interface Prefix {
  version: IpVersion
  /** Number of the network's own address. */
  first: bigint
  length: number
}

const bits = { 4: 32, 6: 128 } as const

export function parseAddress(text: string): Address | undefined {
  const four = parseFour(text)
  if (four !== undefined) return { version: 4, value: four }
  const six = parseSix(text)
  return six === undefined ? undefined : { version: 6, value: six }
}

function parseFour(text: string): bigint | undefined {
  const parts = text.split(".")
  if (parts.length !== 4) return undefined
  let value = 0n
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined
    value = value * 256n + BigInt(part)
  }
  return value
}

function parseSix(text: string): bigint | undefined {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text)
  if (dotted) {
    const four = parseFour(dotted[2] ?? "")
    if (four === undefined) return undefined
    return parseSix(`${dotted[1]}${(four >> 16n).toString(16)}:${(four & 0xffffn).toString(16)}`)
  }
  const halves = text.split("::")
  if (halves.length > 2) return undefined
  const groups = halves.map((half) => (half === "" ? [] : half.split(":")))
  const count = groups.reduce((sum, g) => sum + g.length, 0)
  if (halves.length === 1 ? count !== 8 : count > 7) return undefined
  const zeros = Array.from({ length: 8 - count }, () => "0")
  const all = halves.length === 1 ? (groups[0] ?? []) : [...(groups[0] ?? []), ...zeros, ...(groups[1] ?? [])]
  let value = 0n
  for (const group of all) {
    if (!/^[0-9a-f]{1,4}$/i.test(group)) return undefined
    value = (value << 16n) | BigInt(`0x${group}`)
  }
  return value
}

export function formatAddress(address: Address): string {
  if (address.version === 4)
    return [24n, 16n, 8n, 0n].map((shift) => String((address.value >> shift) & 255n)).join(".")
  const groups = Array.from({ length: 8 }, (_, i) => (address.value >> BigInt(112 - 16 * i)) & 0xffffn)
  const run = longestZeroRun(groups)
  const hex = groups.map((g) => g.toString(16))
  if (!run) return hex.join(":")
  return `${hex.slice(0, run.at).join(":")}::${hex.slice(run.at + run.length).join(":")}`
}

function longestZeroRun(groups: readonly bigint[]): { at: number; length: number } | undefined {
  let best: { at: number; length: number } | undefined
  for (let at = 0; at < groups.length; at++) {
    let length = 0
    while (groups[at + length] === 0n) length++
    if (length > 1 && length > (best?.length ?? 1)) best = { at, length }
    at += length
  }
  return best
}

/** A canonical text of the address; undefined when it is none. */
export function canonicalAddress(text: string): string | undefined {
  const address = parseAddress(text)
  return address && formatAddress(address)
}

/** The same for the end of a connection: an IPv4 address that came over IPv6 is one, and a link is left out. */
export function addressOfEnd(text: string): string | undefined {
  return canonicalAddress(text.replace(/^::ffff:(?=[\d.]+$)/, "").replace(/%.*$/, ""))
}

/** Whether only this machine reaches it. */
export function isLoopback(address: string): boolean {
  return address === "localhost" || address === "::1" || /^127(\.\d+){3}$/.test(address)
}

/** Nobody's, this machine's own, of one cable, of many, for later. */
const unreachable = [
  "0.0.0.0/8",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "224.0.0.0/3",
  "::/127",
  "::ffff:0:0/96",
  "fe80::/10",
  "ff00::/8",
]

/** Whether an address can be one of a machine that others reach over routers. */
export function isReachable(text: string): boolean {
  const address = parseAddress(text)
  if (!address) return false
  return unreachable
    .flatMap((each) => parsePrefix(each) ?? [])
    .every((each) => !prefixContains(each, address))
}

/** A prefix; a bare address is one of full length. Host bits are cut. */
export function parsePrefix(text: string): Prefix | undefined {
  const [addressText = "", lengthText, more] = text.split("/")
  const address = parseAddress(addressText)
  if (!address || more !== undefined) return undefined
  const total = bits[address.version]
  if (lengthText !== undefined && !/^\d{1,3}$/.test(lengthText)) return undefined
  const length = lengthText === undefined ? total : Number(lengthText)
  if (length > total) return undefined
  const host = BigInt(total - length)
  return { version: address.version, first: (address.value >> host) << host, length }
}

export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress({ version: prefix.version, value: prefix.first })}/${prefix.length}`
}

export function lastOf(prefix: Prefix): bigint {
  return prefix.first + (1n << BigInt(bits[prefix.version] - prefix.length)) - 1n
}

export function prefixContains(prefix: Prefix, address: Address): boolean {
  return (
    address.version === prefix.version && address.value >= prefix.first && address.value <= lastOf(prefix)
  )
}

export function prefixesOverlap(a: Prefix, b: Prefix): boolean {
  return a.version === b.version && a.first <= lastOf(b) && b.first <= lastOf(a)
}

/** First and last address that a machine may have. */
export function hostRange(prefix: Prefix): { first: bigint; last: bigint } {
  const last = lastOf(prefix)
  const total = bits[prefix.version]
  // RFC 3021 and RFC 6164: a prefix of two addresses or one has no network or broadcast address.
  if (prefix.length >= total - 1) return { first: prefix.first, last }
  if (prefix.version === 4) return { first: prefix.first + 1n, last: last - 1n }
  return { first: prefix.first + 1n, last }
}

/** The address that a machine with that MAC address gives itself (RFC 4291, modified EUI-64). */
export function eui64Address(prefix: Prefix, macAddress: string): string {
  const mac = BigInt(`0x${macAddress.replaceAll(":", "")}`)
  const high = (mac >> 24n) ^ (1n << 17n)
  const interfaceId = (high << 40n) | (0xfffen << 24n) | (mac & 0xffffffn)
  return formatAddress({ version: 6, value: prefix.first | interfaceId })
}

/** `fa:16:3e:…` → the same in lower case with colons; undefined when it is no MAC address. */
export function canonicalMac(text: string): string | undefined {
  const hex = text.toLowerCase().replaceAll(/[:.-]/g, "")
  if (!/^[0-9a-f]{12}$/.test(hex)) return undefined
  return hex.match(/../g)?.join(":")
}

/** Of a link-local address that was made of a MAC address (RFC 4291, appendix A). */
export function macOfLinkLocal(address: string): string | undefined {
  const parsed = parseAddress(address)
  if (parsed?.version !== 6 || parsed.value >> 64n !== 0xfe80_0000_0000_0000n) return undefined
  const hex = (parsed.value & 0xffff_ffff_ffff_ffffn).toString(16).padStart(16, "0")
  if (hex.slice(6, 10) !== "fffe") return undefined
  const octets = (hex.slice(0, 6) + hex.slice(10)).match(/../g) ?? []
  const first = (Number.parseInt(octets[0] ?? "0", 16) ^ 2).toString(16).padStart(2, "0")
  return [first, ...octets.slice(1)].join(":")
}
