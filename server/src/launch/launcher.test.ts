import assert from "node:assert/strict"
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import "../services.ts"
import { type Config, loadConfig } from "../platform/config/config.ts"
import { exec } from "../platform/exec/exec.ts"

const launcher = join(import.meta.dirname, "../../../kumoi")

test("an option that Node refuses is named; it is not said that there is no Node", async () => {
  const env = { PATH: process.env.PATH, NODE_OPTIONS: "--no-such-flag" }
  const { stderr, exitCode } = await exec(launcher, ["--help"], { env, okCodes: [1], timeoutMs: 240_000 })
  assert.equal(exitCode, 1)
  assert.match(stderr, /does not start with NODE_OPTIONS=--no-such-flag/)
  assert.match(stderr, /not allowed in NODE_OPTIONS/)
})

const cli = join(import.meta.dirname, "../cli.ts")

/** A command of a data directory in which there is nothing; the lines that follow a refusal are its sentence alone. */
async function kumoi(dataDir: string, ...args: string[]) {
  const all = ["--disable-warning=ExperimentalWarning", cli, ...args]
  const env = { PATH: process.env.PATH, KUMOI_DATA: dataDir }
  const { exitCode, stderr } = await exec(process.execPath, all, {
    env,
    okCodes: [0, 1, 2, 3, 4],
    timeoutMs: 240_000,
  })
  assert.doesNotMatch(stderr, /^\s+at /m, `${args.join(" ")}: a sentence and no stack trace`)
  return { exitCode, stderr }
}

test("the exit status tells a wrong question (2), a failure (1) and a cloud that is away (3) apart", async () => {
  const dir = mkdtempSync(join(tmpdir(), "kumoi-exit-"))
  try {
    const data = join(dir, "data")
    const wrong = [
      ["fly"],
      ["up", "--no-such-option"],
      ["up", "--port", "abc"],
      ["status", "--no-such-option"],
      ["keys", "burn"],
      ["host", "discard", "x"],
      ["backup"],
      ["env", "a", "b"],
      ["policy", "explain", "nobody"],
      ["service", "fly"],
      ["test", "no-such-suite"],
    ]
    for (const args of wrong) assert.equal((await kumoi(data, ...args)).exitCode, 2, args.join(" "))
    const away = [
      ["status"],
      ["keys"],
      ["host", "unknown"],
      ["policy", "explain", "admin", "identity:get_user"],
    ]
    for (const args of away) assert.equal((await kumoi(data, ...args)).exitCode, 3, args.join(" "))
    for (const args of [["down"], ["restore", join(dir, "none")]])
      assert.equal((await kumoi(data, ...args)).exitCode, 1, args.join(" "))
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
})

test("a wrong configuration is refused before anything is made", async () => {
  const dir = mkdtempSync(join(tmpdir(), "kumoi-config-"))
  try {
    const data = join(dir, "data")
    const file = join(dir, "kumoi.yaml")
    writeFileSync(file, "http: {trustedProxies: [10.0.0.0/99]}")
    for (const detach of [[], ["--detach"]]) {
      const args = ["up", "--config", file, "--hypervisor", "fake", "--network", "fake", "--yes", ...detach]
      const { exitCode, stderr } = await kumoi(data, ...args)
      assert.equal(exitCode, 1)
      assert.match(stderr, /http\.trustedProxies: "10\.0\.0\.0\/99" is no CIDR/)
    }
    // The log of `up --detach` begins before the cloud does.
    assert.deepEqual(readdirSync(data), ["log"])
    const base = { dataDir: data, publicUrl: "http://127.0.0.1", region: "R", host: "h" } as Config
    for (const [text, says] of [
      ["image: {webDownloadCidrs: [nonsense]}", /image\.webDownloadCidrs: "nonsense" is no CIDR/],
      ["network: {publicCidr: 10.0.0.0}", /network\.publicCidr: "10\.0\.0\.0" is no CIDR/],
      ["network: {publicGateway: 10.0.0.1}", /network\.publicGateway: .*not in 172\.24\.4\.0\/24/],
      ["network: {dnsNameservers: [one.one.one.one]}", /network\.dnsNameservers/],
      ['identity: {security_compliance: {password_regex: "("}}', /password_regex: .*regular expression/i],
      ["nothing: {}", /there is no section nothing/],
      ["http: [", /kumoi\.yaml is no YAML/],
    ] as const) {
      writeFileSync(file, text)
      assert.throws(() => loadConfig({ file, env: {}, base }), says, text)
    }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
})
