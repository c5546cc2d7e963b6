// What the disks of a server are called: `/dev/vdb`. Pure.
import { badRequest, devicePathInUse } from "../faults.ts"
import type { Server } from "./server.ts"
import { diskDevicesOf } from "./vm-spec.ts"

const form = /^\/dev\/x?[a-z]?d?[a-z]+[0-9]*$/

/** Names that the server's own disks have, those of image and flavor. */
export function localDeviceNames(server: Server): string[] {
  return diskDevicesOf(server).map(({ device }) => `/dev/${device}`)
}

/** The name that was asked for, or the next one that is free. Throws what is wrong with it. */
export function chooseDeviceName(asked: string | null, taken: readonly string[]): string {
  if (asked === null) return nextDeviceName(taken)
  const name = asked.startsWith("/dev/") ? asked : `/dev/${asked}`
  if (!form.test(name)) throw badRequest(`The supplied device path (${asked}) is invalid.`)
  if (taken.includes(name)) throw devicePathInUse(asked)
  return name
}

/** Volumes are virtio disks, which Linux in the guest names so. */
function nextDeviceName(taken: readonly string[]): string {
  for (let number = 0; ; number++) {
    const name = `/dev/vd${lettersOf(number)}`
    if (!taken.includes(name)) return name
  }
}

/** a … z, aa, ab … */
export function lettersOf(number: number): string {
  const rest = Math.floor(number / 26)
  return (rest > 0 ? lettersOf(rest - 1) : "") + String.fromCharCode("a".charCodeAt(0) + (number % 26))
}
