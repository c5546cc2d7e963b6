// A guest that is not ours: Debian with its own kernel and cloud-init, told who it is by the config drive alone, and
// by the metadata service alone.
import assert from "node:assert/strict"
import { chmodSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { eventually, isRoot, TestCloud } from "../cloud.ts"
import { debianImage } from "./debian-image.ts"

/** An emulated machine boots Debian and runs cloud-init in one to two minutes when nothing else runs. */
const bootTimeoutMs = 900_000
const gib = 1024 ** 3

const userData = `#cloud-config
write_files:
  - path: /etc/proof
    content: "written by cloud-init\\n"
runcmd:
  - [sh, -c, "echo $(hostname) >> /var/lib/proof"]
`

const guests = [
  { name: "by-drive", hasConfigDrive: true, cloudId: "configdrive" },
  { name: "by-service", hasConfigDrive: false, cloudId: "openstack" },
]

describe("a Debian guest with cloud-init", {
  skip: isRoot ? false : "real machines and networks need root",
}, () => {
  let cloud: TestCloud
  const addresses = new Map<string, string>()
  const file = (name: string) => join(cloud.dataDir, name)

  const makeKey = async (name: string) => {
    writeFileSync(file(name), `${await cloud.openstack("demo", "keypair", "create", name)}\n`)
    chmodSync(file(name), 0o600)
  }
  const ssh = async (guest: string, command: string, key = "key") =>
    await cloud.inside(
      "ssh",
      [
        ...["-i", file(key), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"],
        ...["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"],
        `debian@${addresses.get(guest)}`,
        command,
      ],
      { timeoutMs: bootTimeoutMs, isChecked: key === "key" },
    )
  const said = async (guest: string, command: string) => (await ssh(guest, command)).stdout.trim()

  before(async () => {
    const image = await debianImage((line) => process.stdout.write(`${line}\n`))
    cloud = await TestCloud.start({ hypervisor: "qemu", network: "ovn" })
    const upload = ["--disk-format", "qcow2", "--container-format", "bare", "--file", image]
    await cloud.openstack("demo", "image", "create", ...upload, "debian")
    await makeKey("key")
    await makeKey("other-key")
    const rule = ["--protocol", "tcp", "--dst-port", "22", "default"]
    await cloud.openstack("demo", "security", "group", "rule", "create", ...rule)
    writeFileSync(file("user-data"), userData)
  })
  after(async () => await cloud?.[Symbol.asyncDispose]())

  test("both are created, with the image, a key pair and user data", async () => {
    for (const { name, hasConfigDrive } of guests) {
      const machine = [
        "--image",
        "debian",
        "--flavor",
        "m1.small",
        "--network",
        "private",
        "--key-name",
        "key",
      ]
      const told = ["--user-data", file("user-data"), "--config-drive", String(hasConfigDrive)]
      await cloud.openstack("demo", "server", "create", ...machine, ...told, "--wait", name)
      type FloatingIp = { floating_ip_address: string }
      const ip = await cloud.openstackJson<FloatingIp>("demo", "floating", "ip", "create", "public")
      addresses.set(name, ip.floating_ip_address)
      await cloud.openstack("demo", "server", "add", "floating", "ip", name, ip.floating_ip_address)
    }
  })

  for (const { name, cloudId } of guests) {
    describe(name, () => {
      test("its console shows Debian's boot and cloud-init's end", async () => {
        const log = await eventually(
          `${name} to have booted`,
          async () => {
            const text = await cloud.openstack("demo", "console", "log", "show", name)
            return /Cloud-init .* finished at/.test(text) && text
          },
          { everyMs: 3_000, timeoutMs: bootTimeoutMs },
        )
        assert.match(log, /Linux version .*Debian/)
      })

      test("cloud-init was content, and knew where it is", async () => {
        const status = await said(name, "cloud-init status --wait --long")
        assert.match(status, /^status: done$/m)
        assert.equal(await said(name, "cloud-id"), cloudId)
        const warnings = await said(name, "sudo grep -c WARNING /var/log/cloud-init.log || true")
        assert.equal(warnings, "0")
      })

      test("it has its name, its key and its user data", async () => {
        assert.equal(await said(name, "hostname"), name)
        assert.equal(await said(name, "hostname --fqdn"), `${name}.novalocal`)
        assert.equal(await said(name, "cat /etc/proof /var/lib/proof"), `written by cloud-init\n${name}`)
        const refused = await ssh(name, "true", "other-key")
        assert.equal(refused.exitCode, 255)
        assert.match(refused.stderr, /Permission denied/)
      })

      test("its root file system fills the flavor's disk", async () => {
        const size = Number((await said(name, "df --output=size -B1 /")).split("\n").at(-1))
        assert.ok(size > 18 * gib && size < 20 * gib, `${size}`)
      })
    })
  }

  test("after a reboot the instance is the same: user data is not run again", async () => {
    const bootId = () => said("by-service", "cat /proc/sys/kernel/random/boot_id")
    const before = await bootId()
    await cloud.openstack("demo", "server", "reboot", "--wait", "by-service")
    const another = async () => (await bootId()) !== before
    await eventually("another boot", another, { everyMs: 3_000, timeoutMs: bootTimeoutMs })
    assert.match(await said("by-service", "cloud-init status --wait"), /status: done/)
    assert.equal(await said("by-service", "cat /var/lib/proof"), "by-service")
  })
})
