import type { VifSpec } from "../protocol.ts"
import type { PortPlugger } from "./port-plugger.ts"

export interface FakePluggerOptions {
  /** Told of every port that comes or goes, as ovn-controller tells OVN. */
  onChange?: (portId: string, isPlugged: boolean) => void
  /** Whether it says that it has made a device. */
  hasDevices?: boolean
}

/** Remembers what is plugged and makes no device; goes with the fake network driver and the fake hypervisor. */
export class FakePlugger implements PortPlugger {
  readonly name = "fake"
  readonly #plugged = new Set<string>()
  readonly #onChange: (portId: string, isPlugged: boolean) => void
  readonly #hasDevices: boolean

  constructor(options: FakePluggerOptions = {}) {
    this.#onChange = options.onChange ?? (() => {})
    this.#hasDevices = options.hasDevices ?? false
  }

  async plug(vif: VifSpec): Promise<{ device: string | null }> {
    this.#plugged.add(vif.portId)
    this.#onChange(vif.portId, true)
    return { device: this.#hasDevices ? `tap-${vif.portId.slice(0, 8)}` : null }
  }

  async unplug(portId: string): Promise<void> {
    if (this.#plugged.delete(portId)) this.#onChange(portId, false)
  }

  async list(): Promise<string[]> {
    return [...this.#plugged]
  }

  commandPrefix(): string[] {
    return []
  }
}
