// A machine's serial line, by the address that the stock client gives.
import assert from "node:assert/strict"
import { once } from "node:events"
import { test } from "node:test"
import { eventually } from "./cloud.ts"
import { password, startConsoleGuest } from "./console-guest.ts"

test("somebody logs in on the serial line of a machine by a WebSocket, which ends with the machine", async () => {
  await using guest = await startConsoleGuest()
  const url = await guest.urlOf("--serial")
  const page = await fetch(url.replace(/^ws/, "http"))
  assert.match(await page.text(), /xterm/)
  const socket = new WebSocket(url, ["binary"])
  socket.binaryType = "arraybuffer"
  let heard = ""
  socket.addEventListener("message", ({ data }) => {
    heard += Buffer.from(data).toString()
  })
  await once(socket, "open")
  const say = (line: string) => socket.send(Buffer.from(`${line}\r`))
  const hear = async (what: string) => await eventually(what, async () => heard.includes(what))
  say("")
  await hear("login: ")
  say("cirros")
  await hear("Password: ")
  say(password)
  await hear("$ ")
  say("echo $((40 + 2)) is said")
  await hear("42 is said")
  const ended = once(socket, "close")
  await guest.deleteServer()
  await ended
})
