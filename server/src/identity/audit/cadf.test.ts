import assert from "node:assert/strict"
import { test } from "node:test"
import type { CallerToken } from "../../platform/auth/caller.ts"
import { internalCaller } from "../../platform/auth/caller.ts"
import { makeCtx, type Platform } from "../../platform/context/context.ts"
import { accountUser, cadfEvent, initiatorOf, targetOf } from "./cadf.ts"

const token: CallerToken = {
  id: "secret",
  auditIds: ["audit", "first"],
  methods: ["password"],
  expiresAt: new Date(0),
  issuedAt: new Date(0),
  trustId: "t1",
  trustorUserId: "u2",
  applicationCredentialId: null,
  accessTokenId: null,
  isRestricted: false,
}
const caller = { ...internalCaller, userId: "u1", userName: "ada", projectId: "p1", token }
const client = { address: "192.0.2.7", agent: "curl/8", globalRequestId: "req-outer" }

test("an event has the shape of pyCADF, and never the token itself", () => {
  const ctx = makeCtx({} as Platform, caller, "req-1", "http://host", client)
  const event = cadfEvent(new Date("2026-01-31T12:00:00.123Z"), {
    action: "created.user",
    outcome: "success",
    initiator: initiatorOf(ctx),
    target: targetOf("user", "u9"),
    observerId: "service",
    more: { resource_info: "u9" },
  })
  const { id, ...rest } = event
  assert.match(id, /^[0-9a-f-]{36}$/)
  assert.deepEqual(rest, {
    typeURI: "http://schemas.dmtf.org/cloud/audit/1.0/event",
    eventType: "activity",
    eventTime: "2026-01-31T12:00:00.123000+0000",
    action: "created.user",
    outcome: "success",
    initiator: {
      typeURI: accountUser,
      id: "u1",
      user_id: "u1",
      name: "ada",
      username: "ada",
      project_id: "p1",
      host: { address: "192.0.2.7", agent: "curl/8" },
      credential: { type: "password", token: "audit", trust_id: "t1" },
      request_id: "req-1",
      global_request_id: "req-outer",
    },
    target: { typeURI: "data/security/account/user", id: "u9" },
    observer: { typeURI: "service/security", id: "service" },
    resource_info: "u9",
  })
})

test("a login of nobody that is known has an initiator without a user", () => {
  const ctx = makeCtx(
    {} as Platform,
    { ...caller, userId: "", userName: "", projectId: null, token: null },
    "req-1",
    "",
  )
  const initiator = initiatorOf(ctx, { userName: "guessed" })
  assert.match(initiator.id, /^[0-9a-f-]{36}$/)
  assert.equal(initiator.name, "guessed")
  assert.ok(!("user_id" in initiator))
})
