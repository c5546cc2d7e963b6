import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { createPrivateKey } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { generateSshKeypair, sshFingerprint } from "./public-key.ts"

// Made with ssh-keygen; the fingerprint is that of `ssh-keygen -l -E md5`.
const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl test"

test("the fingerprint of a public key", () => {
  assert.equal(sshFingerprint(key), "65:96:2d:fc:e8:d5:a9:11:64:0c:0f:ea:00:6e:5b:bd")
})

test("what is no public key is refused", () => {
  for (const text of [
    "",
    "hello",
    "ssh-rsa",
    "ssh-rsa !!!",
    "ssh-rsa AAAA",
    key.replace("ssh-ed25519", "ssh-rsa"),
  ]) {
    assert.throws(() => sshFingerprint(text), /Keypair data is invalid/)
  }
})

test("a key that was cut off when it was pasted is refused, wherever it was cut", () => {
  const [type = "", data = ""] = key.split(" ")
  for (let length = 28; length < data.length; length += 1)
    assert.throws(() => sshFingerprint(`${type} ${data.slice(0, length)}`), /cut off/, `${length} characters`)
})

test("every kind of key that ssh-keygen makes is taken", () => {
  const folder = mkdtempSync(join(tmpdir(), "kumoi-keys-"))
  try {
    for (const [type, bits] of [
      ["rsa", 2048],
      ["ecdsa", 256],
      ["ecdsa", 384],
      ["ecdsa", 521],
      ["ed25519", 256],
    ]) {
      const file = join(folder, `${type}-${bits}`)
      execFileSync("ssh-keygen", ["-q", "-N", "", "-t", `${type}`, "-b", `${bits}`, "-f", file])
      const said = execFileSync("ssh-keygen", ["-l", "-E", "md5", "-f", `${file}.pub`]).toString()
      assert.ok(said.includes(sshFingerprint(readFileSync(`${file}.pub`, "utf8"))), said)
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test("a generated pair belongs together", async () => {
  const { publicKey, privateKey } = await generateSshKeypair("comment")
  assert.match(sshFingerprint(publicKey), /^([0-9a-f]{2}:){15}[0-9a-f]{2}$/)
  const modulus = Buffer.from(createPrivateKey(privateKey).export({ format: "jwk" }).n ?? "", "base64url")
  const body = Buffer.from(publicKey.split(" ")[1] ?? "", "base64")
  assert.deepEqual(body.subarray(-modulus.length), modulus)
})
