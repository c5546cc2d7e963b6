// Tap devices in the cloud's namespace, joined to the integration bridge.
//
// The taps are persistent: they outlive this process and ovs-vswitchd, and a machine's QEMU keeps its end open all
// the while. Virtio's packet header stays off (`vnet_hdr=off` for QEMU too), since the userspace datapath would pass
// on frames whose checksum the guest has left to the device.
import { exec } from "../../platform/exec/exec.ts"
import type { VifSpec } from "../protocol.ts"
import { enterNetns } from "./netns.ts"
import type { PortPlugger } from "./port-plugger.ts"
import { SwitchPorts, type SwitchPortsOptions } from "./switch-ports.ts"

export interface OvnPluggerOptions extends SwitchPortsOptions {
  netns: string
  netnsFile: string
  /** The user that QEMU runs as, when it is not root: who may open the tap. */
  ownerUid?: number
}

/**
 * Open vSwitch drops what is longer than the tap's MTU. A guest that does not ask DHCP for the network's smaller MTU
 * sends Ethernet's 1500, and its TCP would hang (measured), so the tap has room for that.
 */
const leastMtu = 1500

export class OvnPlugger implements PortPlugger {
  readonly name = "ovn"
  readonly #options: OvnPluggerOptions
  readonly #ports: SwitchPorts

  constructor(options: OvnPluggerOptions) {
    this.#options = options
    this.#ports = new SwitchPorts(options)
  }

  async plug(vif: VifSpec): Promise<{ device: string }> {
    const device = tapName(vif.portId)
    const { netns, ownerUid } = this.#options
    const lines = [`link set dev ${device} mtu ${Math.max(vif.mtu, leastMtu)} up`]
    if (!(await this.#hasDevice(device))) {
      // Open vSwitch holds on to the device that it opened, not to its name: a tap made anew needs a port made anew.
      await this.#ports.detach(device)
      const owner = ownerUid === undefined ? "" : ` user ${ownerUid}`
      lines.unshift(`tuntap add dev ${device} mode tap${owner}`)
    }
    await exec("ip", ["-n", netns, "-batch", "-"], { input: `${lines.join("\n")}\n` })
    await this.#ports.attach({ device, portId: vif.portId, macAddress: vif.macAddress, use: "vif" })
    return { device }
  }

  async unplug(portId: string): Promise<void> {
    const device = tapName(portId)
    await this.#ports.detach(device)
    if (await this.#hasDevice(device)) await exec("ip", ["-n", this.#options.netns, "link", "delete", device])
  }

  async list(): Promise<string[]> {
    return (await this.#ports.list("vif")).map((port) => port.portId)
  }

  commandPrefix(): string[] {
    return enterNetns(this.#options.netnsFile)
  }

  async #hasDevice(device: string): Promise<boolean> {
    const show = ["-n", this.#options.netns, "-o", "link", "show", "dev", device]
    return (await exec("ip", show, { okCodes: [0, 1] })).exitCode === 0
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ports.close()
  }
}

/** Devices have room for 15 characters; the name is what Neutron's agents would choose. */
export function tapName(portId: string): string {
  return `tap${portId.slice(0, 11)}`
}
