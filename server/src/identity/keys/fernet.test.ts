import assert from "node:assert/strict"
import { execFileSync, spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { test } from "node:test"
import { decryptFernet, encryptFernet, newFernetKeyText, paddedBase64, parseFernetKey } from "./fernet.ts"

// From the specification's verify.json.
const specKey = parseFernetKey("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=")
const specToken =
  "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA=="

test("opens the token of the specification", () => {
  const message = decryptFernet([specKey], specToken)
  assert.equal(message?.payload.toString(), "hello")
  assert.equal(message?.timestampSeconds, 499_162_800)
})

test("opens what it made, with any of its keys, and nothing that was changed", () => {
  const keys = [parseFernetKey(newFernetKeyText()), parseFernetKey(newFernetKeyText())] as const
  const payload = randomBytes(75)
  const token = encryptFernet(keys[1], payload, 1_700_000_000)
  assert.deepEqual(decryptFernet(keys, token)?.payload, payload)
  assert.equal(decryptFernet([keys[0]], token), null)
  const bytes = Buffer.from(token, "base64url")
  for (const at of [0, 1, 9, 30, bytes.length - 40, bytes.length - 1]) {
    const changed = Buffer.from(bytes)
    changed[at] = (changed[at] ?? 0) ^ 1
    assert.equal(decryptFernet(keys, changed.toString("base64url")), null, `byte ${at}`)
  }
  for (const text of ["", "gAAAA", "gAAAAA", token.slice(0, 60), `x${token}`]) {
    assert.equal(decryptFernet(keys, text), null)
  }
})

const hasPython = spawnSync("python3", ["-c", "import cryptography.fernet"]).status === 0

test("speaks the same as Python's cryptography", {
  skip: hasPython ? false : "python3-cryptography is not here",
}, () => {
  const keyText = newFernetKeyText()
  const key = parseFernetKey(keyText)
  const python = (code: string, ...args: string[]) =>
    execFileSync(
      "python3",
      ["-c", `import sys\nfrom cryptography.fernet import Fernet\n${code}`, keyText, ...args],
      {
        encoding: "utf8",
      },
    ).trim()
  const theirs = python("print(Fernet(sys.argv[1]).encrypt(b'from python').decode())")
  assert.equal(decryptFernet([key], theirs)?.payload.toString(), "from python")
  const ours = paddedBase64(
    Buffer.from(encryptFernet(key, Buffer.from("from node"), 1_700_000_000), "base64url"),
  )
  assert.equal(python("print(Fernet(sys.argv[1]).decrypt(sys.argv[2].encode()).decode())", ours), "from node")
})
