// Where clients reach the cloud: what the operator says, else the address that we listen on.
import { createSocket } from "node:dgram"
import { isIPv6 } from "node:net"
import { hostname } from "node:os"
import type { UpOptions } from "./up-options.ts"

export const everyAddress = new Set(["0.0.0.0", "::"])

/** `given`: from the option or the configuration; empty when neither says it. */
export async function choosePublicUrl(
  { listen, port, tls }: Pick<UpOptions, "listen" | "port" | "tls">,
  given: string,
): Promise<string> {
  if (given !== "") return given.replace(/\/+$/, "")
  // A name of this machine may be one that nobody else can resolve: an address always leads here.
  const host = everyAddress.has(listen) ? await outwardAddress() : listen
  return `${tls ? "https" : "http"}://${urlHost(host)}:${port}`
}

/** The address that this machine has on its way to others; its name where there is no way. */
async function outwardAddress(): Promise<string> {
  const socket = createSocket("udp4")
  try {
    return await new Promise<string>((resolve, reject) => {
      socket.once("error", reject)
      // Nothing is sent: the kernel only chooses the way. The address is one of those for documents.
      socket.connect(9, "192.0.2.1", () => resolve(socket.address().address))
    })
  } catch {
    return hostname()
  } finally {
    socket.close()
  }
}

/** Where this machine itself reaches what listens there. */
export function ownHost(listen: string): string {
  return everyAddress.has(listen) ? "127.0.0.1" : listen
}

export const urlHost = (host: string) => (isIPv6(host) ? `[${host}]` : host)

/** The name or address in a URL, without brackets. */
export const hostOf = (url: string) => new URL(url).hostname.replace(/^\[(.*)\]$/, "$1")

/** Whether it is only for one cable, and reached by no program that does not name that too. */
export function isLinkLocal(address: string): boolean {
  return /^(169\.254\.|fe[89ab][0-9a-f]:)/i.test(address)
}

/** The address that other machines reach what listens there at. */
export async function outerAddress(listen: string): Promise<string> {
  return everyAddress.has(listen) ? await outwardAddress() : listen
}
