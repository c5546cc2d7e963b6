import type { VifSpec } from "../protocol.ts"

/** Makes a machine's interface on this host and joins it to the network engine. Every call may be repeated. */
export interface PortPlugger {
  readonly name: string
  /** Returns the device's name; null where there is none (fake). Safe when it is there already. */
  plug(vif: VifSpec): Promise<{ device: string | null }>
  /** Succeeds when already gone. */
  unplug(portId: string): Promise<void>
  /** Port ids plugged on this host by this cloud, for removing orphans. */
  list(): Promise<string[]>
  /** Prefix for a command line that must see the devices (network namespace of the cloud); empty in the fake. */
  commandPrefix(): string[]
}
