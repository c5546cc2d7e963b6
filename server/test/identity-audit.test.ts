import assert from "node:assert/strict"
import { readFile, stat } from "node:fs/promises"
import { join } from "node:path"
import { test } from "node:test"
import type { Notification } from "../src/engine/outbox/notification.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import { startTestCloud } from "./cloud.ts"

test("logins and changes reach the bus as oslo.messaging notifications, and the audit log", async () => {
  await using cloud = await startTestCloud()
  const heard: Notification[] = []
  const { bus } = cloud.cloud.platform
  await using _subscription = await bus.subscribe("notifications.info", (message) => {
    heard.push(message as Notification) // published by the outbox
  })
  const token = await cloud.token()
  const wrong = {
    methods: ["password"],
    password: { user: { name: "demo", domain: { id: "default" }, password: "x" } },
  }
  const refused = await cloud.request("POST", "/identity/v3/auth/tokens", {
    body: { auth: { identity: wrong } },
  })
  assert.equal(refused.status, 401)
  const made = await cloud.request("POST", "/identity/v3/users", { token, body: { user: { name: "ada" } } })
  assert.equal(made.status, 201)
  const wanted = [
    "identity.authenticate success",
    "identity.authenticate failure",
    "identity.user.created success",
  ]
  const nameOf = (told: Notification) => `${told.event_type} ${told.payload.outcome}`
  await eventually("all of them", () => wanted.every((name) => heard.some((told) => nameOf(told) === name)))
  const created = heard.find((told) => told.event_type === "identity.user.created")
  assert.equal(created?.publisher_id, "identity.host1")
  assert.equal(created?.payload.resource_info, made.body.user.id)
  assert.equal(created?._context_request_id, made.headers.get("x-openstack-request-id"))
  const path = join(cloud.dataDir, "log", "audit.log")
  const lines = await eventually("the log", async () => {
    const found = (await readFile(path, "utf8")).trim().split("\n")
    return found.length === wanted.length && found
  })
  const names = lines
    .map((line) => JSON.parse(line))
    .map((line) => `${line.event_type} ${line.payload.outcome}`)
  assert.deepEqual(names, wanted)
  assert.equal((await stat(path)).mode & 0o777, 0o600)
})
