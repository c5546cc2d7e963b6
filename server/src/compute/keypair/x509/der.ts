// Just enough of DER (X.690) to write a certificate and a PKCS #12 file.
type Der = Buffer

function tagged(tag: number, content: Buffer): Der {
  return Buffer.concat([Buffer.from([tag]), lengthOf(content.length), content])
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length])
  const bytes: number[] = []
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256)
  return Buffer.from([0x80 | bytes.length, ...bytes])
}

export const sequence = (...parts: Der[]): Der => tagged(0x30, Buffer.concat(parts))
export const set = (...parts: Der[]): Der => tagged(0x31, Buffer.concat(parts))
export const octets = (content: Buffer): Der => tagged(0x04, content)
export const nothing: Der = Buffer.from([0x05, 0x00])
export const utf8 = (text: string): Der => tagged(0x0c, Buffer.from(text, "utf8"))

/** `[n]` around a whole value, or in the place of its own tag when the value is a sequence of parts. */
export const context = (n: number, ...parts: Der[]): Der => tagged(0xa0 | n, Buffer.concat(parts))

/** Not negative, from big-endian bytes. */
export function integer(value: number | Buffer): Der {
  const bytes = typeof value === "number" ? Buffer.from([value]) : value
  return tagged(0x02, (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes)
}

/** No bit of it is unused. */
export const bits = (content: Buffer): Der => tagged(0x03, Buffer.concat([Buffer.from([0]), content]))

export function oid(dotted: string): Der {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number)
  return tagged(0x06, Buffer.from([first * 40 + second, ...rest].flatMap(base128)))
}

function base128(value: number): number[] {
  const digits = [value % 128]
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128))
    digits.unshift(0x80 | (rest % 128))
  return digits
}

/** UTCTime to the end of 2049, GeneralizedTime after it, as RFC 5280 wants. */
export function time(date: Date): Der {
  const digits = `${date.toISOString().slice(0, 19).replaceAll(/[-:T]/g, "")}Z`
  return date.getUTCFullYear() < 2050
    ? tagged(0x17, Buffer.from(digits.slice(2), "ascii"))
    : tagged(0x18, Buffer.from(digits, "ascii"))
}
