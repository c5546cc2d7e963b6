// A cloud with one real machine, vm1, at whose console somebody may log in as `cirros`.
import assert from "node:assert/strict"
import { eventually, TestCloud } from "./cloud.ts"
import { Session } from "./session.ts"

export const password = "letmein"
/** The first that knows servers without a network. */
const novaVersion = { "openstack-api-version": "compute 2.37" }

export interface ConsoleGuest extends AsyncDisposable {
  cloud: TestCloud
  /** As the stock client says it. */
  urlOf(kind: "--novnc" | "--serial"): Promise<string>
  /** What the serial line has shown. */
  log(): Promise<string>
}

export async function startConsoleGuest(): Promise<ConsoleGuest> {
  // Processes that only answer hand consoles on.
  const cloud = await TestCloud.start({ hypervisor: "qemu", network: "fake", flags: ["--workers", "2"] })
  const log = async () => await cloud.openstack("demo", "console", "log", "show", "vm1")
  try {
    const demo = await Session.open(cloud, "demo")
    const { images } = await demo.get("/image/v2/images?name=kumoi-guest")
    const { flavors } = await demo.get("/compute/v2.1/flavors")
    const flavor = flavors.find((each: { name: string }) => each.name === "m1.tiny")
    const server = {
      ...{ name: "vm1", imageRef: images[0].id, flavorRef: flavor.id, networks: "none" },
      ...{ adminPass: password, config_drive: true },
    }
    const made = await demo.send("POST", "/compute/v2.1/servers", { server }, novaVersion)
    assert.equal(made.status, 202, JSON.stringify(made.body))
    await eventually("the guest to be ready", async () => (await log()).includes("kumoi guest ready"))
  } catch (error) {
    await cloud[Symbol.asyncDispose]()
    throw error
  }
  return {
    cloud,
    log,
    urlOf: async (kind) =>
      (await cloud.openstackJson<{ url: string }>("demo", "console", "url", "show", kind, "vm1")).url,
    [Symbol.asyncDispose]: async () => await cloud[Symbol.asyncDispose](),
  }
}
