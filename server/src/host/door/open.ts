import type { Platform } from "../../platform/context/context.ts"
import type { DoorOptions, HostDoor } from "./door.ts"

/** Loads what the door is made of, which a cloud of one host never needs. */
export async function openHostDoor(platform: Platform, options: DoorOptions): Promise<HostDoor> {
  const { HostDoor: Door } = await import("./door.ts")
  return await Door.open(platform, options)
}
