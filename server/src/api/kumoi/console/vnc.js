import RFB from "./novnc/core/rfb.js"
import { show, showClosed, socketAddress } from "./page.js"

const keys = document.getElementById("keys")
const screen = document.getElementById("screen")
const rfb = new RFB(screen, socketAddress(), { shared: true, wsProtocols: ["binary"] })
let wasOpen = false

rfb.scaleViewport = true
rfb.addEventListener("connect", () => {
  wasOpen = true
  keys.disabled = false
  show("connected", "Connected")
  rfb.focus()
})
rfb.addEventListener("desktopname", ({ detail }) => {
  document.title = detail.name
})
rfb.addEventListener("disconnect", () => {
  keys.disabled = true
  showClosed(wasOpen, "")
})
keys.addEventListener("click", () => {
  rfb.sendCtrlAltDel()
  rfb.focus()
})
document.getElementById("whole").addEventListener("click", async () => {
  await screen.requestFullscreen()
  rfb.focus()
})
