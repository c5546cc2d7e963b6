// The stock client over TLS: with the cloud's own authority, from clouds.yaml alone.
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { freePort, run, TestCloud } from "./cloud.ts"

const client = { hypervisor: "fake", network: "fake" } as const

test("`up --tls` is asked over https by the stock client, whoever answers", async () => {
  await using cloud = await TestCloud.start({ ...client, flags: ["--tls", "--workers", "2"] })
  const clouds = join(cloud.dataDir, "clouds.yaml")
  const openstack = async (...args: string[]) =>
    (
      await run("openstack", ["--os-cloud", "kumoi-demo", ...args], {
        env: { OS_CLIENT_CONFIG_FILE: clouds },
      })
    ).stdout
  assert.match(await openstack("catalog", "list", "-f", "json"), /https:\/\/127\.0\.0\.1:\d+\/compute\/v2\.1/)
  assert.match(await openstack("flavor", "list", "-f", "value", "-c", "Name"), /m1\.tiny/)
  await openstack("network", "list")
  await openstack("image", "list")
  assert.match(readFileSync(join(cloud.dataDir, "openrc-demo"), "utf8"), /OS_CACERT=.*ca\.pem/)
  const at = `https://127.0.0.1:${cloud.port}/identity/v3`
  const ask = async (...args: string[]) => await run("curl", ["-s", ...args, at], { isChecked: false })
  assert.equal((await ask()).exitCode, 60, "an authority that nobody has told of is not believed")
  const links = (await ask("--cacert", join(cloud.dataDir, "tls/ca.pem"))).stdout
  assert.match(links, /"href":"https:/)
  const plain = await run("curl", ["-s", at.replace("https", "http")], { isChecked: false })
  assert.match(plain.stdout, /"code":400.*https:\/\//)
})

test("`--public-url` is what the catalog and links say", async () => {
  const port = await freePort()
  const flags = ["--public-url", `https://cloud.example:${port}/iaas/`]
  await using cloud = await TestCloud.start({ ...client, flags })
  const { stdout } = await run("curl", [
    "-s",
    "-H",
    "host: evil.example",
    `http://127.0.0.1:${cloud.port}/identity/v3`,
  ])
  assert.match(stdout, new RegExp(`"href":"https://cloud\\.example:${port}/iaas/identity/v3/"`))
  assert.match(readFileSync(join(cloud.dataDir, "clouds.yaml"), "utf8"), /auth_url: https:\/\/cloud\.example/)
})
