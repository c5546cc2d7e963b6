// A private PostgreSQL for tests: own temporary directory, unix socket only, gone with the process that asked for it.
//
// A test process may end in any way, SIGKILL too, and must leave nothing. So a small watcher holds the other end of
// a pipe: when the pipe closes, by whatever cause, it ends the server and removes the directory.
import { type ChildProcess, spawn } from "node:child_process"
import { chmodSync, mkdtempSync, statfsSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { lookUpUser, postgresEngine, postgresUrl } from "../src/launch/engines/postgres.ts"
import { silentLogger } from "../src/platform/log/log.ts"
import { Supervisor } from "../src/platform/supervise/supervisor.ts"

export interface TestPostgres extends AsyncDisposable {
  /** Of the database `postgres`, for making others. */
  readonly url: string
  readonly dataDir: string
}

const watcherScript = `
read -r ignored
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ]; then
  kill -QUIT "$pid"
  while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
fi
rm -rf "$1"
`

function startWatcher(directory: string): ChildProcess {
  const child = spawn("/bin/sh", ["-c", watcherScript, "kumoi-test-postgres", directory], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
    cwd: "/",
  })
  child.unref()
  const pipe = child.stdin as unknown as { unref(): void } // a pipe to a child is a net.Socket
  pipe.unref()
  return child
}

async function systemUser(): Promise<{ uid: number; gid: number } | null> {
  if (process.getuid?.() !== 0) return null
  for (const name of ["kumoi", "postgres", "nobody"]) {
    const user = await lookUpUser(name)
    if (user) return user
  }
  throw new Error("PostgreSQL refuses to run as root, and there is no user kumoi, postgres or nobody here")
}

/** A database of its own for each of thousands of tests: some hundreds of files each time, of which none needs to last. */
const memoryDir = "/dev/shm"
const memoryBytes = 3 * 1024 ** 3

/** In memory where there is enough: there a clone takes a tenth of the time that it takes on some disks. */
function scratchDir(): string {
  try {
    const { bavail, bsize } = statfsSync(memoryDir)
    if (bavail * bsize >= memoryBytes) return memoryDir
  } catch {
    // There is none.
  }
  return tmpdir()
}

/** `isDurable` only for measurements; a test needs no fsync. */
export async function startTestPostgres(options: { isDurable?: boolean } = {}): Promise<TestPostgres> {
  const isDurable = options.isDurable ?? false
  const directory = mkdtempSync(join(isDurable ? tmpdir() : scratchDir(), "kumoi-pg-"))
  chmodSync(directory, 0o711)
  const watcher = startWatcher(directory)
  const supervisor = new Supervisor({ runDir: join(directory, "run"), log: silentLogger })
  const dataDir = join(directory, "data")
  const stop = async () => {
    const gone = new Promise((resolve) => watcher.once("exit", resolve))
    // Let go of the watch first, or it would start the server again.
    supervisor.release()
    watcher.ref()
    watcher.stdin?.end()
    await gone
  }
  try {
    await supervisor.start(
      await postgresEngine({
        dataDir,
        socketDir: join(directory, "socket"),
        logFile: join(directory, "postgres.log"),
        runAs: await systemUser(),
        isDurable,
        maxConnections: 400,
      }),
    )
  } catch (error) {
    await stop()
    throw error
  }
  // A server that dies in a test is a finding, not something to repair behind the test's back.
  supervisor.release()
  return { url: postgresUrl(join(directory, "socket"), "postgres"), dataDir, [Symbol.asyncDispose]: stop }
}
