import assert from "node:assert/strict"
import { test } from "node:test"
import { createRouter, type Router } from "./router.ts"
import { type Api, type HttpMethod, route } from "./wire.ts"

const one = (method: HttpMethod, path: string) =>
  route({ method, path, policy: "public", handler: async () => undefined })

const api: Api = {
  service: "sample",
  mounts: ["/sample", ""],
  version: "/v1",
  renderFault: () => ({ status: 500, body: {} }),
  rootRoutes: [one("GET", "/")],
  routes: [
    one("GET", "/"),
    one("GET", "/things"),
    one("GET", "/things/detail"),
    one("GET", "/things/{id}"),
    one("PUT", "/things/{thing}"),
    one("GET", "/things/{id}/parts/{part}"),
    one("GET", "/things/detail/{what}"),
    one("GET", "/files/{version}/*"),
  ],
}

const router = createRouter([api])

function found(of: Router, method: string, path: string): [string, Record<string, string>] | null {
  const { routes, params } = of.find(method, path) ?? {}
  return routes && params ? [routes[0].path, params] : null
}

test("a path has the route that says most of it, below each mount", () => {
  for (const mount of ["/sample", ""]) {
    const at = (method: string, path: string) => found(router, method, `${mount}${path}`)
    assert.deepEqual(at("GET", "/v1/things"), ["/things", {}])
    assert.deepEqual(at("GET", "/v1/things/?a=1"), ["/things", {}], "a slash at the end does not matter")
    assert.deepEqual(at("GET", "/v1"), ["/", {}])
    assert.deepEqual(at("GET", "/v1/"), ["/", {}])
    assert.deepEqual(at("GET", "/v1/things/detail"), ["/things/detail", {}])
    assert.deepEqual(at("PUT", "/v1/things/detail"), ["/things/{thing}", { thing: "detail" }])
    assert.deepEqual(at("GET", "/v1/things/detail/all"), ["/things/detail/{what}", { what: "all" }])
    assert.deepEqual(at("GET", "/v1/things/detail/parts/2"), [
      "/things/{id}/parts/{part}",
      { id: "detail", part: "2" },
    ])
    assert.deepEqual(at("GET", "/v1/files/3/a/b.js"), ["/files/{version}/*", { version: "3", "*": "a/b.js" }])
  }
  assert.deepEqual(found(router, "GET", "/"), ["/", {}])
  assert.deepEqual(found(router, "GET", "/sample"), ["/", {}])
})

test("what no route takes", () => {
  for (const path of ["/v1/thing", "/v1/things/1/parts", "/v1/things/1/parts/2/3", "/v2/things", "/nothing"])
    assert.equal(router.find("GET", path), null, path)
  assert.equal(router.find("DELETE", "/v1/things"), null)
  assert.equal(router.find("GET", "/v1/things/%ff"), null, "not UTF-8")
  assert.equal(router.find("GET", "/v1/__proto__"), null)
})

test("parts are decoded once, whatever they hold", () => {
  for (const text of ["a b", "a/b", "50%", "a?b#c", "%2F", "ä", "__proto__", "*"])
    assert.deepEqual(found(router, "GET", `/v1/things/${encodeURIComponent(text)}`)?.[1], { id: text })
  assert.deepEqual(found(router, "GET", "/v1/thing%73"), ["/things", {}])
})

test("a part has its bound, which is said", () => {
  assert.equal(router.find("GET", `/v1/things/${"a".repeat(512)}`)?.params.id?.length, 512)
  assert.throws(() => router.find("GET", `/v1/things/${"a".repeat(513)}`), /longer than 512 characters/)
})

test("two routes of one path, and half a part, are refused", () => {
  const routes = [one("GET", "/things/{id}"), one("GET", "/things/{other}")]
  assert.throws(() => createRouter([{ ...api, routes }]), /two routes have it/)
  assert.throws(() => createRouter([{ ...api, routes: [one("GET", "/a/x{id}")] }]), /a whole part/)
})
