// A private RabbitMQ for tests: own node name, cookie, port mapper and loopback ports below a temporary directory.
// Gone with the process that asked for it, in whatever way that ends: a watcher sees its pipe close.
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, writeFileSync } from "node:fs"
import { connect, createServer } from "node:net"
import { tmpdir } from "node:os"
import { basename, dirname, join } from "node:path"
import { eventually } from "../../clock/clock.ts"
import { exec } from "../../exec/exec.ts"

export interface TestRabbit extends AsyncDisposable {
  readonly url: string
  /** Ends the broker; its data stay. */
  stop(): Promise<void>
  /**
   * By SIGKILL. RabbitMQ 3.10 on a single node, killed within seconds of a quorum queue's first declaration, may never
   * elect that queue's leader again: `stop` and `restart` before it keep what was declared.
   */
  kill(): Promise<void>
  /** Starts it again after `stop` or `kill`. */
  restart(): Promise<void>
  /** As when it is out of memory: it takes what publishers send and neither reads nor confirms it. Until false. */
  holdPublishers(isHeld: boolean): Promise<void>
}

const installDir = "/usr/lib/rabbitmq/lib"

function serverScript(): string | undefined {
  if (!existsSync(installDir)) return undefined
  const version = readdirSync(installDir).find((name) => name.startsWith("rabbitmq_server-"))
  return version === undefined ? undefined : join(installDir, version, "sbin/rabbitmq-server")
}

/** Why there can be none here; undefined when there can. */
export function rabbitMissing(): string | undefined {
  if (serverScript() === undefined) return "rabbitmq-server is not installed"
  return existsSync("/usr/bin/epmd") ? undefined : "epmd is not installed"
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === "string") throw new Error("no port")
  return address.port
}

const watcherScript = `
read -r ignored
for file in "$1"/*.pid; do kill -KILL "$(cat "$file")" 2>/dev/null; done
rm -rf "$1"
`

interface Parts {
  directory: string
  env: Record<string, string>
  url: string
  port: number
}

/** The program replaces itself by exec, so the pid is that of the server. */
function startProgram(parts: Parts, name: string, file: string, args: string[]): ChildProcess {
  const out = openSync(join(parts.directory, `${name}.log`), "a", 0o600)
  const child = spawn(file, args, { detached: true, stdio: ["ignore", out, out], cwd: "/", env: parts.env })
  writeFileSync(join(parts.directory, `${name}.pid`), `${child.pid}\n`)
  child.unref()
  return child
}

async function endProgram(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise((resolve) => child.once("exit", resolve))
  child.ref()
  child.kill(signal)
  await gone
}

export async function startTestRabbit(): Promise<TestRabbit> {
  const script = serverScript()
  if (script === undefined) throw new Error("rabbitmq-server is not installed")
  const parts = await prepare()
  const { directory, url, port } = parts
  const watcher = spawn("/bin/sh", ["-c", watcherScript, "kumoi-test-rabbitmq", directory], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
    cwd: "/",
  })
  watcher.unref()
  const pipe = watcher.stdin as unknown as { unref(): void } // a pipe to a child is a net.Socket
  pipe.unref()
  const mapper = startProgram(parts, "epmd", "/usr/bin/epmd", ["-port", parts.env.ERL_EPMD_PORT ?? ""])
  const start = async () => {
    const child = startProgram(parts, "rabbitmq", script, [])
    await eventually(`RabbitMQ to be ready (log: ${directory}/rabbitmq.log)`, () => isListening(port), {
      timeoutMs: 90_000,
      intervalMs: 200,
    })
    return child
  }
  let broker = await start()
  return {
    url,
    stop: () => endProgram(broker, "SIGTERM"),
    kill: () => endProgram(broker, "SIGKILL"),
    async restart() {
      broker = await start()
    },
    async holdPublishers(isHeld) {
      const share = isHeld ? "0.000001" : "0.4"
      await exec(join(dirname(script), "rabbitmqctl"), ["set_vm_memory_high_watermark", share], {
        env: parts.env,
        cwd: "/",
        timeoutMs: 120_000,
      })
    },
    async [Symbol.asyncDispose]() {
      await endProgram(broker, "SIGKILL")
      await endProgram(mapper, "SIGKILL")
      const gone = new Promise((resolve) => watcher.once("exit", resolve))
      watcher.ref()
      watcher.stdin?.end()
      await gone
    },
  }
}

async function prepare(): Promise<Parts> {
  const directory = mkdtempSync(join(tmpdir(), "kumoi-rabbit-"))
  mkdirSync(join(directory, "home"), { mode: 0o700 })
  writeFileSync(join(directory, "plugins"), "[].\n")
  const [port, distribution, mapper] = [await freePort(), await freePort(), await freePort()]
  // Nothing of the Erlang side may be heard outside either.
  writeFileSync(join(directory, "rabbitmq.conf"), `listeners.tcp.1 = 127.0.0.1:${port}\n`)
  return {
    directory,
    port,
    url: `amqp://guest:guest@127.0.0.1:${port}`,
    env: {
      PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
      LANG: "C.UTF-8",
      HOME: join(directory, "home"),
      ERL_EPMD_ADDRESS: "127.0.0.1",
      ERL_EPMD_PORT: String(mapper),
      RABBITMQ_NODENAME: `${basename(directory)}@localhost`,
      RABBITMQ_DIST_PORT: String(distribution),
      RABBITMQ_CONFIG_FILE: join(directory, "rabbitmq.conf"),
      RABBITMQ_CONF_ENV_FILE: join(directory, "none"),
      RABBITMQ_ENABLED_PLUGINS_FILE: join(directory, "plugins"),
      RABBITMQ_MNESIA_BASE: join(directory, "data"),
      RABBITMQ_LOG_BASE: join(directory, "log"),
      RABBITMQ_PID_FILE: join(directory, "broker.pid"),
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +S 1:1",
      // Makes the script replace itself by the server instead of waiting for it.
      detached: "1",
    },
  }
}

/** The broker opens its port last. */
async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1")
  try {
    return await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(true))
      socket.once("error", () => resolve(false))
    })
  } finally {
    socket.destroy()
  }
}
