// What both pages share. The WebSocket is at the page's own address, whatever is before it.
const state = document.getElementById("state")
const again = document.getElementById("again")

export function socketAddress() {
  const address = new URL(location.href)
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:"
  address.hash = ""
  return address.href
}

/** @param {"connecting" | "connected" | "closed"} word */
export function show(word, text) {
  document.documentElement.dataset.state = word
  state.textContent = text
  again.hidden = word !== "closed"
}

/** Browsers tell a page nothing of why a WebSocket was refused. */
const notOpened =
  "It did not open: the server is off, its host is away, others look at it, or the address is over. Ask for a new one."

export function showClosed(wasOpen, reason) {
  const why = reason ? `Closed: ${reason}.` : notOpened
  show("closed", wasOpen ? (reason ? why : "Closed.") : why)
}

again.addEventListener("click", () => location.reload())
