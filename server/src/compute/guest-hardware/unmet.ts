// What nothing here can give a guest, on no host: refused when a server is to be made, with the reason. What depends on
// the host its filters refuse.
import { badRequest } from "../faults.ts"
import { both, isTrue, oneOf, type Wishes, wholeNumber } from "./wishes.ts"

export function checkMet(wishes: Wishes): void {
  const { specs } = wishes
  const alias = specs["pci_passthrough:alias"]
  if (alias) throw badRequest(`PCI alias ${alias.split(":")[0]} is not defined`)
  const profile = specs["accel:device_profile"]
  if (profile) throw cannot("accel:device_profile", profile, "there is no accelerator service here")
  for (const [key, value] of Object.entries(specs))
    if (key.startsWith("quota:vif_inbound_") || key.startsWith("quota:vif_outbound_"))
      throw cannot(key, value, "interfaces are limited by the QoS policies of their ports and networks")
  if (isTrue(specs["hw:cpu_realtime"]))
    throw cannot("hw:cpu_realtime", "true", "processors of guests are not scheduled in real time here")
  if (isTrue(oneOf(wishes, "hw:locked_memory")))
    throw cannot("hw:locked_memory", "true", "the memory of guests is not locked here")
  const ports = Number(oneOf(wishes, "hw:redirected_usb_ports") ?? "0")
  if (ports > 0)
    throw cannot("hw:redirected_usb_ports", String(ports), "there is no SPICE console that redirects USB")
  checkVideo(wishes)
}

function cannot(spec: string, value: string, why: string) {
  return badRequest(`Invalid input for ${spec}: '${value}' cannot be met: ${why}.`)
}

function checkVideo({ specs, image }: Wishes): void {
  const text = image.hw_video_ram
  if (!text) return
  const [wanted, most] = [
    wholeNumber("hw_video_ram", text),
    wholeNumber("hw_video:ram_max_mb", specs["hw_video:ram_max_mb"] ?? "0"),
  ]
  if (wanted > most)
    throw badRequest(
      `The requested amount of video memory ${wanted} is higher than the maximum allowed by flavor ${most}.`,
    )
}

const serialPortsMost = 4

/** Of a PC, whose first one is the console. */
export function serialPortsOf(wishes: Wishes): number {
  const { ofFlavor, ofImage } = both(wishes, "hw:serial_port_count")
  const number = (text: string | undefined) => {
    if (text === undefined) return 0
    if (!/^\s*\d{1,9}\s*$/.test(text))
      throw badRequest(
        `Number of serial ports specified in flavor is invalid: expected an integer, got '${text}'`,
      )
    return Number(text)
  }
  const [flavor, image] = [number(ofFlavor), number(ofImage)]
  if (flavor > 0 && image > flavor)
    throw badRequest("Forbidden to exceed flavor value of number of serial ports passed in image meta.")
  const ports = (flavor > 0 && image > 0 ? image : flavor || image) || 1
  if (ports > serialPortsMost)
    throw badRequest(`Maximum number of serial port exceeds ${serialPortsMost} for qemu`)
  return ports
}
