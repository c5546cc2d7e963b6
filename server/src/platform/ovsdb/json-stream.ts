// OVSDB's JSON-RPC puts objects one after another with nothing between them, so the end of each is found by
// counting braces outside of strings. Text already looked at is never looked at again: a database dump of
// many megabytes comes in pieces of 64 KiB.
import { StringDecoder } from "node:string_decoder"

const quote = 34
const backslash = 92
const openBrace = 123
const closeBrace = 125

export class JsonStream {
  readonly #decoder = new StringDecoder("utf8")
  readonly #limitChars: number
  #pieces: string[] = []
  #size = 0
  #depth = 0
  #isInString = false
  #isEscaped = false

  constructor(limitChars: number) {
    this.#limitChars = limitChars
  }

  /** Returns the objects that this piece completes. Throws on what is not JSON and on an object over the limit. */
  push(chunk: Uint8Array): unknown[] {
    const text = this.#decoder.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength))
    const found: unknown[] = []
    let start = 0
    for (let i = 0; i < text.length; i++) {
      if (!this.#step(text.charCodeAt(i))) continue
      this.#pieces.push(text.slice(start, i + 1))
      start = i + 1
      const whole = this.#pieces.join("")
      this.#pieces = []
      this.#size = 0
      found.push(JSON.parse(whole))
    }
    if (start < text.length) {
      this.#pieces.push(text.slice(start))
      this.#size += text.length - start
      if (this.#size > this.#limitChars)
        throw new Error(`JSON object of more than ${this.#limitChars} characters`)
    }
    return found
  }

  /** True when this character closes an object. */
  #step(code: number): boolean {
    if (this.#isInString) {
      if (this.#isEscaped) this.#isEscaped = false
      else if (code === backslash) this.#isEscaped = true
      else if (code === quote) this.#isInString = false
      return false
    }
    if (code === quote) this.#isInString = true
    else if (code === openBrace) this.#depth += 1
    else if (code === closeBrace) {
      this.#depth -= 1
      return this.#depth === 0
    }
    return false
  }
}
