// What the console of a small Linux guest shows while it boots, with this machine's own facts in it.
export interface ConsoleFacts {
  name: string
  instanceName: string
  vcpus: number
  ramMib: number
  macAddresses: string[]
  diskBytes: number[]
  hasConfigDrive: boolean
}

/** Printed once for each boot; tests count boots by it. */
export const loginPrompt = "login: "

export function bootText(facts: ConsoleFacts, bootedAt: string): string {
  const memoryKib = facts.ramMib * 1024
  const timed: [number, string][] = [
    [0, "Linux version 6.1.0-cloud-amd64 (kumoi@fake) #1 SMP PREEMPT_DYNAMIC"],
    [0, "Command line: BOOT_IMAGE=/boot/vmlinuz root=LABEL=rootfs ro console=tty1 console=ttyS0"],
    [0, "DMI: OpenStack Foundation OpenStack Nova, BIOS 1.16.2 04/01/2014"],
    [0.004, `Memory: ${memoryKib - 24_576}K/${memoryKib}K available`],
    [0.021, `smp: Brought up 1 node, ${facts.vcpus} CPU${facts.vcpus === 1 ? "" : "s"}`],
    [0.113, "PCI: Using configuration type 1 for base access"],
    [0.285, "Serial: 8250/16550 driver, 4 ports, IRQ sharing enabled"],
    ...facts.diskBytes.map((bytes, index): [number, string] => [
      0.31 + index / 100,
      `virtio_blk virtio${index + 2}: [vd${String.fromCharCode(97 + index)}] ${bytes / 512} 512-byte logical blocks`,
    ]),
    ...facts.macAddresses.map((mac, index): [number, string] => [
      0.4 + index / 100,
      `virtio_net virtio${index}: eth${index}: ${mac}`,
    ]),
    [0.52, "EXT4-fs (vda1): mounted filesystem with ordered data mode"],
    [0.61, "Run /sbin/init as init process"],
  ]
  const kernel = timed.map(([at, text]) => `[${at.toFixed(6).padStart(12)}] ${text}`)
  const source = facts.hasConfigDrive ? "config drive" : "http://169.254.169.254"
  const userland = [
    "Starting network: OK",
    `instance data: ${source}`,
    `hostname: ${facts.name}`,
    `boot finished at ${bootedAt}`,
    "",
    `${facts.name} ${loginPrompt}`,
  ]
  return `${[...kernel, ...userland].join("\r\n")}\r\n`
}

export const powerOffText = "[   42.000000] reboot: Power down\r\n"
export const restartText = "[   42.000000] reboot: Restarting system\r\n"
export const nmiText = "[   42.000000] Uhhuh. NMI received for unknown reason 30 on CPU 0.\r\n"
export const passwordText = (user: string) => `password of ${user} changed\r\n`
