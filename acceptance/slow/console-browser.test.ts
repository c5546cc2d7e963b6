// A person at a machine's screen and serial line, in a browser.
import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { eventually } from "../cloud.ts"
import { type ConsoleGuest, password, startConsoleGuest } from "../console-guest.ts"
import { Browser } from "./browser.ts"

/** Where nothing else is said after the prompt. */
const uuid = /login: [\s\S]*[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/

describe("the console of a machine, in a browser", () => {
  let guest: ConsoleGuest

  before(async () => {
    guest = await startConsoleGuest()
  })
  after(async () => await guest?.[Symbol.asyncDispose]())

  const connected = async (browser: Browser) =>
    await eventually(
      "the page to be connected",
      async () => (await browser.evaluate("document.documentElement.dataset.state")) === "connected",
    )

  test("shows the screen, and what is typed there arrives at the guest", async () => {
    await using browser = await Browser.open()
    await browser.goTo(await guest.urlOf("--novnc"))
    await connected(browser)
    const canvas = "document.querySelector('#screen canvas')"
    const pixels = `${canvas}.getContext('2d').getImageData(0, 0, ${canvas}.width, ${canvas}.height).data`
    const count = async (condition: string) =>
      Number(await browser.evaluate(`${pixels}.filter((v, at) => at % 4 === 1 && ${condition}).length`))
    await eventually("the guest's text", async () => (await count("v > 60")) > 1_000)
    await browser.evaluate(`(globalThis.before = ${pixels}).length`)
    const picture = await browser.screenshot()
    await browser.type("cirros\n")
    // More than a cursor that blinks.
    const isAnswered = async () => (await count("v !== globalThis.before[at]")) > 200
    await eventually("the guest to ask for the password", isAnswered)
    await browser.type(`${password}\n`)
    assert.ok(!uuid.test(await guest.log()))
    // Again: a guest that is slow to ask for the password has not heard it.
    await eventually(
      "what was typed on the guest's serial line",
      async () => {
        await browser.type("sudo dd if=/proc/sys/kernel/random/uuid of=/dev/console\n")
        return uuid.test(await guest.log())
      },
      { everyMs: 3_000 },
    )
    assert.notDeepEqual(await browser.screenshot(), picture)
    assert.deepEqual(browser.complaints, [], "nothing was refused to the page")
  })

  test("shows the serial line, and takes what is typed", async () => {
    await using browser = await Browser.open()
    await browser.goTo((await guest.urlOf("--serial")).replace(/^ws/, "http"))
    await connected(browser)
    await browser.type("\nsomebody\n")
    await eventually("the guest to ask for the password", async () =>
      String(await browser.evaluate("document.querySelector('.xterm-rows').textContent")).includes(
        "Password:",
      ),
    )
    assert.deepEqual(browser.complaints, [], "nothing was refused to the page")
  })
})
