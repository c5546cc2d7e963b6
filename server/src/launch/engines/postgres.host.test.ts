// PostgreSQL on a disk without room: it ends itself when it cannot write its log.
import assert from "node:assert/strict"
import { chmodSync, mkdtempSync, rmSync } from "node:fs"
import { open, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import pg from "pg"
import { eventually } from "../../platform/clock/clock.ts"
import { isDiskFull } from "../../platform/exec/disk-full.ts"
import { exec } from "../../platform/exec/exec.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { silentLogger } from "../../platform/log/log.ts"
import { Supervisor } from "../../platform/supervise/supervisor.ts"
import { ensureSystemUser } from "../packages.ts"
import { lookUpUser, postgresEngine, postgresUrl } from "./postgres.ts"

const diskMib = 160
const mib = 1024 * 1024

describe("PostgreSQL on a full disk", {
  skip: process.getuid?.() === 0 ? false : "a small disk is mounted by root only",
}, () => {
  let home: string
  let disk: string
  const ballast = () => join(disk, "ballast")
  before(async () => {
    home = mkdtempSync(join(tmpdir(), "kumoi-full-"))
    chmodSync(home, 0o711)
    disk = join(home, "disk")
    const options = `size=${diskMib}m,mode=0711`
    await exec("mount", ["--mkdir", "-t", "tmpfs", "-o", options, "kumoi-full", disk])
  })
  after(async () => {
    await exec("umount", [disk])
    rmSync(home, { recursive: true })
  })

  const engine = async () => {
    await ensureSystemUser("kumoi")
    return await postgresEngine({
      dataDir: join(disk, "postgres"),
      socketDir: join(home, "run"),
      logFile: join(home, "postgres.log"),
      runAs: await lookUpUser("kumoi"),
    })
  }

  const fillUp = async () => {
    const file = await open(ballast(), "w")
    try {
      for (const size of [mib, 4096]) {
        const block = Buffer.alloc(size, 1)
        await assert.rejects(async () => {
          for (let i = 0; i <= (diskMib * mib) / size; i++) await file.writeFile(block)
        }, isDiskFull)
      }
    } finally {
      await file.close()
    }
  }

  test("no database can be made: said so, and nothing half-made stays", async () => {
    await fillUp()
    const supervisor = new Supervisor({ runDir: join(home, "run"), log: silentLogger })
    await assert.rejects(supervisor.start(await engine()), (error: unknown) => {
      assert.ok(error instanceof Fault && error.code === "cli.disk_full", String(error))
      assert.match(error.message, /disk is full.*Make room/)
      return true
    })
    await supervisor.stopAll()
    await rm(ballast())
    const { stdout } = await exec("ls", ["-A", disk])
    assert.equal(stdout, "")
  })

  test("it is out of room for its log, comes back by itself, and has all that it acknowledged", async () => {
    const supervisor = new Supervisor({ runDir: join(home, "run"), log: silentLogger })
    await supervisor.start(await engine())
    const url = postgresUrl(join(home, "run"))
    const acknowledged: number[] = []
    const once = async (n: number) => {
      const client = new pg.Client({ connectionString: url })
      client.on("error", () => {})
      await client.connect()
      try {
        await client.query("insert into kept values ($1)", [n])
        acknowledged.push(n)
        // The next write needs another segment of the log.
        await client.query("select pg_switch_wal()")
      } finally {
        await client.end().catch(() => {})
      }
    }
    const first = new pg.Client({ connectionString: url })
    await first.connect()
    await first.query("create table kept (n integer)")
    await first.end()
    await once(0)
    await fillUp()
    await assert.rejects(async () => {
      for (let n = 1; n < 50; n++) await once(n)
    })
    await eventually("its end to be noticed", () => supervisor.status()[0]?.state !== "running")
    await rm(ballast())
    await eventually("it to be back", () => supervisor.status()[0]?.state === "running")
    const again = new pg.Client({ connectionString: url })
    await again.connect()
    const { rows } = await again.query<{ n: number }>("select n from kept")
    await again.end()
    const found = new Set(rows.map((row) => row.n))
    assert.deepEqual(
      acknowledged.filter((n) => !found.has(n)),
      [],
    )
    await supervisor.stopAll()
  })
})
