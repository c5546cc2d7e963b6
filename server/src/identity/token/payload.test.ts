import assert from "node:assert/strict"
import { randomBytes } from "node:crypto"
import { test } from "node:test"
import { decodePayload, encodePayload, newAuditId, type TokenPayload } from "./payload.ts"

const hex = () => randomBytes(16).toString("hex")

const samples: TokenPayload[] = [
  {
    userId: hex(),
    epoch: 1,
    methods: ["password"],
    scope: { kind: "unscoped" },
    issuedAtMs: 1_795_000_000_123,
    expiresAtMs: 1_795_003_600_000,
    auditIds: [newAuditId()],
    trustId: null,
    applicationCredentialId: null,
    accessTokenId: null,
  },
  {
    userId: "someone-from-a-directory-ü",
    epoch: 70_000,
    methods: ["password", "token", "totp"],
    scope: { kind: "project", id: hex() },
    issuedAtMs: 0,
    expiresAtMs: 2 ** 47,
    auditIds: [newAuditId(), newAuditId()],
    trustId: hex(),
    applicationCredentialId: hex(),
    accessTokenId: hex(),
  },
  {
    userId: hex(),
    epoch: 3,
    methods: ["ec2credential"],
    scope: { kind: "domain", id: "default" },
    issuedAtMs: 5,
    expiresAtMs: 6,
    auditIds: [],
    trustId: null,
    applicationCredentialId: null,
    accessTokenId: null,
  },
]

test("a payload comes back as it was", () => {
  for (const payload of samples) assert.deepEqual(decodePayload(encodePayload(payload)), payload)
})

test("a payload that is cut or of another format is none", () => {
  const [, payload] = samples
  assert.ok(payload)
  const bytes = encodePayload(payload)
  for (let length = 0; length < bytes.length; length++) {
    assert.equal(decodePayload(bytes.subarray(0, length)), null, `${length} bytes`)
  }
  assert.equal(decodePayload(Buffer.concat([Buffer.of(99), bytes.subarray(1)])), null)
})
