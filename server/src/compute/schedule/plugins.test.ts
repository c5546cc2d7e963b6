import assert from "node:assert/strict"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { Fault } from "../../platform/fault/fault.ts"
import { hostState, scheduleOptions, scheduleRequest } from "../testing/schedule-case.ts"
import { askedBy, chooseHosts } from "./choose.ts"
import { judgeHosts, smallestChange } from "./explain.ts"
import { makeScheduler } from "./plugins.ts"

async function withModule(text: string, use: (path: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "kumoi-filter-"))
  try {
    const path = join(dir, "filter.mjs")
    await writeFile(path, text)
    await use(path)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

const custom = `export const filters = [{
  name: "EvenHostsFilter",
  refuse: (host) => /[02468]$/.test(host.name) ? null : { why: "its number is odd", fix: null },
}]`

test("a filter of one's own decides like the others", async () => {
  await withModule(custom, async (path) => {
    const scheduler = await makeScheduler(
      scheduleOptions({ customFilters: [path], enabledFilters: ["ComputeFilter", "EvenHostsFilter"] }),
    )
    const request = scheduleRequest()
    const chosen = chooseHosts([hostState("h1"), hostState("h2")], request, askedBy(scheduler, request))
    assert.deepEqual(
      chosen.map(({ name }) => name),
      ["h2"],
    )
  })
})

test("a filter of one's own that fails or answers something else is named, with the host", async () => {
  const wrong: [refuse: string, why: RegExp][] = [
    ["() => { throw new Error('ouch') }", /^The filter X \(.+\) failed for the host h1: ouch$/],
    ["async () => null", /X .*h1: `refuse` may not be async$/],
    ["async () => { throw new Error('ouch') }", /`refuse` may not be async$/],
    ["() => 'no'", /`refuse` answers null, or `why` and `fix`$/],
    ["() => ({})", /`refuse` answers null, or `why` and `fix`$/],
    ["() => false", /`refuse` answers null, or `why` and `fix`$/],
  ]
  for (const [refuse, message] of wrong) {
    await withModule(`export const filters = [{ name: "X", refuse: ${refuse} }]`, async (path) => {
      const scheduler = await makeScheduler(scheduleOptions({ customFilters: [path], enabledFilters: ["X"] }))
      const request = scheduleRequest()
      assert.throws(() => chooseHosts([hostState("h1")], request, askedBy(scheduler, request)), { message })
    })
  }
})

test("where a filter of one's own knows no fix, no change is said to help", async () => {
  const text = `export const filters = [{ name: "X", refuse: () => ({ why: "because" }) }]`
  await withModule(text, async (path) => {
    const scheduler = await makeScheduler(scheduleOptions({ customFilters: [path], enabledFilters: ["X"] }))
    const request = scheduleRequest()
    const verdicts = judgeHosts([hostState("h1")], request, askedBy(scheduler, request))
    assert.deepEqual(verdicts, [{ host: "h1", refusals: [{ by: "X", why: "because", fix: null }] }])
    assert.equal(smallestChange(verdicts), null)
  })
})

async function refuses(options: Parameters<typeof scheduleOptions>[0], why: RegExp): Promise<void> {
  await assert.rejects(makeScheduler(scheduleOptions(options)), (error) => {
    assert.ok(error instanceof Fault && error.code === "config.invalid", String(error))
    assert.match(error.message, why)
    return true
  })
}

test("what is wrong with the configuration is said at the start, with the key", async () => {
  await refuses(
    { enabledFilters: ["NoFilter"] },
    /compute\.schedule\.enabledFilters: there is no filter NoFilter/,
  )
  await refuses({ enabledFilters: ["RamFilter", "RamFilter"] }, /enabledFilters: RamFilter is named twice/)
  await refuses({ scheduler: "best" }, /compute\.schedule\.scheduler: there is no best/)
  await refuses(
    { customFilters: ["here.ts"] },
    /customFilters: here\.ts cannot be loaded: it is no absolute path/,
  )
  await refuses({ customFilters: ["/nothing/here.ts"] }, /cannot be loaded: Cannot find module/)
  const wrong: [text: string, why: RegExp][] = [
    ["export const filters = [", /cannot be loaded: /],
    ["export const other = 1", /it exports no list `filters`/],
    ["export const filters = [{}]", /has no name of one word/],
    ["export const filters = [{ name: 'X' }]", /X has no function `refuse`/],
    ["export const filters = [{ name: 'X', refuse() {}, narrow: 1 }]", /X: isAsked and narrow are functions/],
    ["export const filters = [{ name: 'JsonFilter', refuse() {} }]", /there is a filter JsonFilter already/],
  ]
  for (const [text, why] of wrong) await withModule(text, (path) => refuses({ customFilters: [path] }, why))
})
