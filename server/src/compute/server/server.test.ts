import assert from "node:assert/strict"
import { test } from "node:test"
import { hostIdOf, hostnameOf, instanceNameOf } from "./server.ts"

test("hostnames are made of what is left of the name", () => {
  const id = "b1946ac9-0000-4000-8000-000000000000"
  assert.equal(hostnameOf("My Server_1.example", id), "my-server-1-example")
  assert.equal(hostnameOf("-web-", id), "web")
  assert.equal(hostnameOf("日本", id), `Server-${id}`)
  assert.equal(hostnameOf("é", id), "e")
  assert.equal(hostnameOf("x".repeat(300), id).length, 63)
})

test("the host id is the same for a project and host, and tells neither", () => {
  assert.equal(hostIdOf("p", "h"), hostIdOf("p", "h"))
  assert.notEqual(hostIdOf("p", "h"), hostIdOf("q", "h"))
  assert.match(hostIdOf("p", "h"), /^[0-9a-f]{56}$/)
  assert.equal(hostIdOf("p", null), "")
})

test("the name of the machine is its number", () => {
  assert.equal(instanceNameOf({ number: 42 }), "instance-0000002a")
})
