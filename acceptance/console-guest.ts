// A cloud with one real machine, vm1, at whose console somebody may log in as `cirros`.
import { eventually, TestCloud } from "./cloud.ts"
import { Session } from "./session.ts"

export const password = "letmein"

export interface ConsoleGuest extends AsyncDisposable {
  cloud: TestCloud
  /** As the stock client says it. */
  urlOf(kind: "--novnc" | "--serial"): Promise<string>
  /** What the serial line has shown. */
  log(): Promise<string>
  deleteServer(): Promise<void>
}

export async function startConsoleGuest(): Promise<ConsoleGuest> {
  // Processes that only answer hand consoles on.
  const cloud = await TestCloud.start({ hypervisor: "qemu", network: "fake", flags: ["--workers", "2"] })
  try {
    const demo = await Session.open(cloud, "demo")
    // Of a server without a network only a configuration drive tells the password.
    const access = { adminPass: password, config_drive: true }
    const id = await demo.createServer({ name: "vm1", networks: "none", ...access })
    const log = async () => await demo.consoleOf(id)
    await eventually("the guest to be ready", async () => (await log()).includes("kumoi guest ready"))
    return {
      cloud,
      log,
      urlOf: async (kind) =>
        (await cloud.openstackJson<{ url: string }>("demo", "console", "url", "show", kind, "vm1")).url,
      deleteServer: async () => await demo.deleteServer(id),
      [Symbol.asyncDispose]: async () => await cloud[Symbol.asyncDispose](),
    }
  } catch (error) {
    await cloud[Symbol.asyncDispose]()
    throw error
  }
}
