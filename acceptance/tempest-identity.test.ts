// Tempest's own tests of identity, as Debian packages them.
import assert from "node:assert/strict"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { TestCloud } from "./cloud.ts"
import { describeSummary, summarize } from "./tempest/outcome.ts"
import { TempestWorkspace } from "./tempest/workspace.ts"

const everyIdentityTest = { regex: String.raw`^tempest\.api\.identity` }
/** One of both generations (33: 138, 43: 138). */
const passedLeast = 138
const runMs = 600_000

/** Nothing else may be skipped. */
const knownSkips = new Map([
  // Tempest 33 has its tests for clouds before Queens; they were dropped since.
  ["Identity api v2 is not enabled", "Keystone has no v2.0 since Queens; Kumoi keeps its tokens and tenants"],
])

/** What tempest.conf.template says of the cloud. */
const securityCompliance = {
  lockout_failure_attempts: 2,
  lockout_duration: 5,
  unique_last_password_count: 2,
}

/** Every test has users of its own who log in: at the usual cost the hashes are most of the work, and no test asks. */
const passwordHashCost = 8

describe("Tempest: identity", () => {
  let cloud: TestCloud
  let folder: string

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "kumoi-tempest-"))
    const config = join(folder, "kumoi.yaml")
    const identity = { security_compliance: securityCompliance, passwordHashCost }
    writeFileSync(config, JSON.stringify({ identity }))
    cloud = await TestCloud.start({ hypervisor: "fake", network: "fake", flags: ["--config", config] })
  })
  after(async () => {
    await cloud?.[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  })

  test("no test fails, and each skip has a known reason", async (t) => {
    const options = { dataDir: cloud.dataDir, folder: join(folder, "workspace") }
    const workspace = await TempestWorkspace.create(options)
    const listed = await workspace.list(everyIdentityTest)
    const limits = { concurrency: 2, timeoutMs: runMs }
    const { outcomes, output, exitCode } = await workspace.run(everyIdentityTest, limits)
    const summary = summarize(outcomes, listed)
    for (const line of describeSummary(summary, listed.length)) t.diagnostic(line)
    for (const [reason, why] of knownSkips) if (summary.skips.has(reason)) t.diagnostic(`"${reason}": ${why}`)
    assert.deepEqual(summary.failed, [], output)
    assert.deepEqual(
      [...summary.skips.keys()].filter((reason) => !knownSkips.has(reason)),
      [],
    )
    assert.equal(summary.passed + summary.skipped, listed.length, output)
    assert.ok(summary.passed >= passedLeast, `${summary.passed} passed, once ${passedLeast} did`)
    assert.equal(exitCode, 0, output)
  })
})
