import assert from "node:assert/strict"
import { once } from "node:events"
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { after, before, test } from "node:test"
import { buildGuestImage, type GuestImage, guestPackages } from "./build.ts"
import { run } from "./run.ts"
import { startMachine, type TestMachine } from "./testing/machine.ts"

/** Emulation on a busy machine: a boot that takes 5 s alone has been seen to take 20. */
const bootTimeoutMs = 120_000

let folder: string
let image: GuestImage
let publicKey: string
let privateKeyPath: string

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "kumoi-guest-test-"))
  image = await buildGuestImage({ outputDir: process.env.KUMOI_GUEST_DIR ?? join(folder, "image") })
  privateKeyPath = join(folder, "key")
  await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", privateKeyPath])
  publicKey = (await readFile(`${privateKeyPath}.pub`, "utf8")).trim()
})

after(async () => {
  await rm(folder, { recursive: true, force: true })
})

/** An own folder and a copy-on-write disk of 1 GiB, as a server of the smallest flavor gets it. */
async function prepareMachine(name: string): Promise<{ own: string; disk: string[] }> {
  const own = join(folder, name)
  await mkdir(own)
  const disk = join(own, "disk.qcow2")
  await run("qemu-img", ["create", "-q", "-f", "qcow2", "-b", image.diskPath, "-F", "qcow2", disk, "1G"])
  return { own, disk: ["-drive", `file=${disk},if=virtio`] }
}

async function withMachine(
  machine: TestMachine,
  use: (machine: TestMachine) => Promise<void>,
): Promise<void> {
  try {
    await use(machine)
  } finally {
    await machine.kill()
  }
}

test("a second build of the same inputs is found, not made", async () => {
  const outputDir = join(image.diskPath, "../..")
  assert.deepEqual(await buildGuestImage({ outputDir, log: assert.fail }), image)
  assert.ok((await stat(image.diskPath)).size < 40 * 1024 * 1024, "the image stays small")
  assert.ok(guestPackages.includes("busybox-static"))
})

test("packages that cannot be fetched are asked for once; the image made before is used", async () => {
  // A cache of its own: the image by a link, and the note that it was made from other packages than now.
  const outputDir = join(folder, "stale")
  const made = join(image.diskPath, "..")
  await mkdir(outputDir)
  await symlink(made, join(outputDir, basename(made)))
  const [pointer] = (await readdir(join(made, ".."))).filter((name) => name.endsWith(".json"))
  assert.ok(pointer)
  const { digest } = image
  await writeFile(join(outputDir, pointer), JSON.stringify({ packages: "others", digest }))
  const bin = join(folder, "bin")
  await mkdir(bin)
  await writeFile(join(bin, "apt-get"), "#!/bin/sh\nexit 100\n", { mode: 0o755 })
  const { PATH } = process.env
  process.env.PATH = `${bin}:${PATH}`
  try {
    const said: string[] = []
    const used = await buildGuestImage({ outputDir, log: (line) => said.push(line) })
    assert.equal(used.digest, digest)
    assert.match(said.join("\n"), /using the guest image made before/)
    assert.equal((await buildGuestImage({ outputDir, log: assert.fail })).digest, digest)
  } finally {
    process.env.PATH = PATH
  }
})

test("a disk boots, takes name and key from the config drive, grows, and obeys the power button", async () => {
  const { own, disk } = await prepareMachine("config-drive")
  const latest = join(own, "drive/openstack/latest")
  await mkdir(latest, { recursive: true })
  const metadata = {
    uuid: "d8e02d56-2648-49a3-bf97-6be8f1204f38",
    hostname: "drive-one.novalocal",
    name: 'odd "name"',
    admin_pass: 'o"d$d \\ pässword',
    public_keys: { "my.key": `${publicKey}\n` },
  }
  await writeFile(join(latest, "meta_data.json"), JSON.stringify(metadata))
  await writeFile(join(latest, "user_data"), "#!/bin/sh\necho user data ran as $(id -un)\n")
  const drive = join(own, "config.iso")
  await run("genisoimage", ["-quiet", "-R", "-J", "-V", "config-2", "-o", drive, join(own, "drive")])
  const uuid = ["-uuid", metadata.uuid]
  const args = [...disk, ...uuid, "-drive", `file=${drive},if=virtio,format=raw,readonly=on`]
  await withMachine(await startMachine({ folder: own, args, privateKeyPath }), async (machine) => {
    await machine.waitFor("=== kumoi guest ready: drive-one in ", bootTimeoutMs)
    const log = await machine.serial()
    assert.match(log, /metadata: config drive \/dev\/vdb/)
    assert.match(log, /user data ran as root/)
    assert.match(log, /Fingerprint: SHA256:\S+ ed25519_host_key/)
    await machine.waitFor(
      "login as 'cirros' user with the password that the server was made with. use 'sudo' for root.",
      bootTimeoutMs,
    )
    const [, hash = ""] = (await machine.ssh("sudo grep ^cirros: /etc/shadow")).split(":")
    const [, , salt = ""] = hash.split("$")
    assert.equal((await run("openssl", ["passwd", "-6", "-salt", salt, metadata.admin_pass])).trim(), hash)
    assert.equal(await machine.ssh("hostname; sudo id -u"), "drive-one\n0\n")
    assert.match(await machine.ssh("lsblk -lb --nodeps"), /^vda +254:0 +0 +1073741824 +0 disk/m)
    const freeMib = Number(await machine.ssh("df -m / | awk 'NR == 2 { print $4 }'"))
    assert.ok(freeMib > 800, `the file system fills the disk (${freeMib} MiB free)`)
    await machine.ssh("echo kept > kept; sync")
    await machine.pressPowerButton()
    await machine.waitForEnd(30_000)
  })
  await withMachine(await startMachine({ folder: own, args, privateKeyPath }), async (machine) => {
    await machine.waitFor("kumoi guest ready", bootTimeoutMs)
    assert.equal(await machine.ssh("cat kept"), "kept\n")
    assert.doesNotMatch(await machine.serial(), /user data ran/, "user data runs once an instance")
  })
})

test("a disk boots and takes name, key and a cloud config from the metadata service", async () => {
  const { own, disk } = await prepareMachine("service")
  const metadata = {
    uuid: "0b4e5d20-5f0a-4c44-a8a5-3a6f1f3e2d11",
    hostname: "first",
    public_keys: { key: publicKey },
  }
  const userData =
    "#cloud-config\nhostname: service-one\nruncmd:\n  - [sh, -c, 'echo \"from, a list\" > /tmp/ran']\n"
  const documents: Record<string, string> = {
    "/openstack/latest/meta_data.json": JSON.stringify(metadata),
    "/openstack/latest/user_data": userData,
  }
  const posted: string[] = []
  const server = createServer((request, response) => {
    request.setEncoding("utf8").on("data", (text: string) => posted.push(`${request.url} ${text}`))
    const document = documents[request.url ?? ""]
    response.writeHead(document === undefined ? 404 : 200, { connection: "close" }).end(document)
  })
  await once(server.listen(0, "127.0.0.1"), "listening")
  const address = server.address()
  assert.ok(address && typeof address === "object")
  // QEMU's own little network, made to be the link-local one, hands the metadata address on to the server above.
  const network = `,net=169.254.169.0/24,host=169.254.169.2,dhcpstart=169.254.169.20,dns=169.254.169.3,guestfwd=tcp:169.254.169.254:80-cmd:busybox nc 127.0.0.1 ${address.port}`
  try {
    await withMachine(
      await startMachine({ folder: own, args: disk, privateKeyPath, network }),
      async (machine) => {
        await machine.waitFor("=== kumoi guest ready: service-one in ", bootTimeoutMs)
        assert.match(await machine.serial(), /metadata: http:\/\/169\.254\.169\.254\/openstack/)
        assert.equal(await machine.ssh("hostname; cat /tmp/ran"), "service-one\nfrom, a list\n")
        const base = "http://169.254.169.254/openstack/latest"
        assert.equal(await machine.ssh(`curl ${base}/user_data`), userData)
        await machine.ssh(`curl -X POST -d 'a secret' -o /dev/null ${base}/meta_data.json`)
        assert.deepEqual(posted, ["/openstack/latest/meta_data.json a secret"])
      },
    )
  } finally {
    server.closeAllConnections()
    server.close()
  }
})

test("kernel and initrd answer a probe without a disk", async () => {
  const own = join(folder, "probe")
  await mkdir(own)
  const kernel = [
    "-kernel",
    image.kernelPath,
    "-initrd",
    image.initrdPath,
    "-append",
    "console=ttyS0 kumoi.probe",
  ]
  await withMachine(await startMachine({ folder: own, args: ["-no-reboot", ...kernel] }), async (machine) => {
    await machine.waitFor("=== kumoi guest kernel alive in ", bootTimeoutMs)
    await machine.waitForEnd(30_000)
  })
})
