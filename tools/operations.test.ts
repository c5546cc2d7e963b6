// Each operation has a wire, and each route is of operations; the rule of both is one, as the route's is made from
// theirs.
import assert from "node:assert/strict"
import { test } from "node:test"
import { removedRoutes } from "../server/src/compute/openstack-v2/removed.ts"
import { apisOf } from "../server/src/engine/service.ts"
import type { Api, Route } from "../server/src/platform/http/wire.ts"
import { policyOf } from "../server/src/platform/http/wire.ts"
import { declaredOperations } from "../server/src/platform/operation/operation.ts"
import { services } from "../server/src/services.ts"

const routes: readonly { api: Api; route: Route; key: string }[] = apisOf(services).flatMap((api) => [
  ...(api.rootRoutes ?? []).map((route) => ({
    api,
    route,
    key: `${api.service} ${route.method} ${route.path}`,
  })),
  ...api.routes.map((route) => ({
    api,
    route,
    key: `${api.service} ${route.method} ${api.version}${route.path}`,
  })),
])

/** Operation → why no route asks it. May only shrink: what a wire asks leaves it. */
const withoutWire: Readonly<Record<string, string>> = {}

test("every operation has a wire", () => {
  const asked = new Set(routes.flatMap(({ route }) => [...route.asking.operations]))
  const problems = declaredOperations().flatMap(({ operationName: name }) => {
    if (asked.has(name) === !Object.hasOwn(withoutWire, name)) return []
    return [asked.has(name) ? `${name}: has a wire by now` : `${name}: no route asks it`]
  })
  assert.deepEqual(problems, [])
})

/** Routes that are no operation, and say themselves who may call. Each line must be needed. */
const documents: readonly (readonly [pattern: RegExp, why: string])[] = [
  [/^\S+ (GET|HEAD) (\/v[\d.]+)?\/?$/, "which versions there are"],
  [/^image GET \/versions$/, "which versions there are"],
  [
    /^(compute|network|block-storage) GET \/v[\d.]+\/extensions(\/\{alias\})?$/,
    "what the API can do: the same in every cloud",
  ],
  [/^compute GET \/v[\d.]+\/versions\/\{version_id\}$/, "which versions there are"],
  [/^compute \w+ \/v[\d.]+\/os-baremetal-nodes/, "who asks for them is told of another service's commands"],
  [/^block-storage GET \/v3\/resource_filters$/, "which filters lists take: the same in every cloud"],
  [/^image GET \/v2\/schemas\//, "JSON schemas of the API"],
  [/^image GET \/v2\/info\/(import|stores)$/, "what the image service can do, by its configuration"],
]

test("every route names its operations, or is a document about the API", () => {
  const isNeeded = documents.map(() => false)
  const problems: string[] = []
  for (const { route, key } of routes) {
    if (route.operations.length > 0 || removedRoutes.includes(route)) continue
    const at = documents.findIndex(([pattern]) => pattern.test(key))
    if (at < 0) problems.push(`${key}: names no operation`)
    else isNeeded[at] = true
  }
  for (const [at, [pattern]] of documents.entries())
    if (!isNeeded[at]) problems.push(`${pattern}: nothing needs this line any more`)
  assert.deepEqual(problems, [])
})

test("a route asks what its operations ask", () => {
  for (const { route, key } of routes) {
    if (route.operations.length > 0) assert.deepEqual(route.policy, policyOf(route.operations), key)
  }
})

test("every rule that an operation may ask is declared", () => {
  const declared = new Set(services.flatMap(({ policies }) => policies.map(({ name }) => name)))
  const problems = declaredOperations().flatMap(({ operationName, rules }) => {
    if (typeof rules === "string") return []
    if (rules.length === 0) return [`${operationName}: says no rule`]
    return rules.filter((rule) => !declared.has(rule)).map((rule) => `${operationName}: ${rule}`)
  })
  assert.deepEqual(problems, [])
})
