import { show, showClosed, socketAddress } from "./page.js"
import { Terminal } from "./xterm/xterm.mjs"

// A serial line tells the guest no size: most take it for this one.
const terminal = new Terminal({ cols: 80, rows: 25, cursorBlink: true, scrollback: 10_000 })
terminal.open(document.getElementById("terminal"))

const socket = new WebSocket(socketAddress(), ["binary"])
const text = new TextEncoder()
let wasOpen = false

socket.binaryType = "arraybuffer"
socket.addEventListener("open", () => {
  wasOpen = true
  show("connected", "Connected. A guest that is at rest says nothing: press Enter.")
  terminal.focus()
})
socket.addEventListener("message", ({ data }) => terminal.write(new Uint8Array(data)))
socket.addEventListener("close", ({ reason }) => showClosed(wasOpen, reason))

function send(bytes) {
  if (socket.readyState === WebSocket.OPEN) socket.send(bytes)
}
terminal.onData((typed) => send(text.encode(typed)))
terminal.onBinary((typed) => send(Uint8Array.from(typed, (letter) => letter.charCodeAt(0))))
