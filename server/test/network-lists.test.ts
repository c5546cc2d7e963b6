// Lists of the network API come in pages, whether the client asks for them or not.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { startTestCloud, type TestCloud } from "./cloud.ts"

const pageMax = 4
const count = 10

let cloud: TestCloud
let demo: string
before(async () => {
  cloud = await startTestCloud({ overrides: { "network.pageMax": pageMax } })
  demo = await cloud.token({ user: "demo" })
  const networks = Array.from({ length: count }, (_, i) => ({ name: `paged-${i}` }))
  await call("POST", "/network/v2.0/networks", { networks })
})
after(async () => await cloud[Symbol.asyncDispose]())

// biome-ignore lint/suspicious/noExplicitAny: tests look where they like and fail when it is not there
async function call(method: string, path: string, body?: unknown): Promise<any> {
  const reply = await cloud.request(method, path, { token: demo, ...(body === undefined ? {} : { body }) })
  assert.ok(reply.status < 300, JSON.stringify(reply.body))
  return reply.body
}

interface Page {
  names: string[]
  next: string | undefined
  previous: string | undefined
}

async function pageAt(url: string): Promise<Page> {
  const path = url.startsWith("http") ? url.slice(new URL(url).origin.length) : url
  const { networks, networks_links = [] } = await call("GET", path)
  const link = (rel: string) => networks_links.find((l: { rel: string }) => l.rel === rel)?.href
  return {
    names: networks.map((network: { name: string }) => network.name),
    next: link("next"),
    previous: link("previous"),
  }
}

async function follow(url: string, direction: "next" | "previous"): Promise<Page[]> {
  const pages: Page[] = []
  for (let at: string | undefined = url; at !== undefined; ) {
    const page: Page = await pageAt(at)
    pages.push(page)
    assert.ok(pages.length < 30, "the links go on for ever")
    at = page[direction]
  }
  return pages
}

const paged = (pages: readonly Page[]) =>
  pages.flatMap((page) => page.names).filter((name) => name.startsWith("paged-"))
const all = Array.from({ length: count }, (_, i) => `paged-${i}`)

test("a client that asks for no pages gets some, and all things by following the links", async () => {
  const pages = await follow("/network/v2.0/networks", "next")
  assert.ok(pages.every((page) => page.names.length <= pageMax))
  assert.deepEqual(paged(pages).sort(), all)
  assert.equal(pages[0]?.previous, undefined)
  const few = await pageAt("/network/v2.0/networks?name=paged-3")
  assert.deepEqual(few, { names: ["paged-3"], next: undefined, previous: undefined })
})

test("a limit above the greatest page is cut to it", async () => {
  const pages = await follow("/network/v2.0/networks?limit=1000&sort_key=name&sort_dir=desc", "next")
  assert.deepEqual(
    pages.slice(0, -1).map((page) => page.names.length),
    pages.slice(0, -1).map(() => pageMax),
  )
  assert.deepEqual(paged(pages), [...all].reverse())
})

test("every later page says what was before it, the empty one after the last too", async () => {
  const named = `/network/v2.0/networks?limit=2&sort_key=name&${all.map((name) => `name=${name}`).join("&")}`
  const pages = await follow(named, "next")
  assert.deepEqual(paged(pages), all)
  assert.deepEqual(
    pages.slice(1).map((page) => typeof page.previous),
    pages.slice(1).map(() => "string"),
  )
  const last = pages.at(-1)
  assert.deepEqual(last?.names, [])
  const back = await follow(last?.previous ?? "", "previous")
  assert.deepEqual(
    back.reverse().flatMap((page) => page.names),
    all,
  )
})

test("what a policy takes out of a page does not end the list", async () => {
  const { policy } = cloud.cloud.platform
  policy.override({ get_network: "True:%(router:external)s" })
  try {
    const pages = await follow("/network/v2.0/networks?limit=2&sort_key=name", "next")
    assert.deepEqual(
      pages.flatMap((page) => page.names),
      ["public"],
    )
    assert.deepEqual(pages[0]?.names, [])
  } finally {
    policy.override({})
  }
})
