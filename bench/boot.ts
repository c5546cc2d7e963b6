// What a boot is measured to, by the cloud and by the bare QEMU alike.
/** Milliseconds since the request for the machine, or since QEMU was called. */
export interface BootTimes {
  activeMs?: number
  /** The guest's last word on its serial console before it is ready for users. */
  readyMs: number
  sshMs: number
  /** Processor time of QEMU until then. It does not grow because others are busy. */
  qemuMs: number
}

/** Of the small guest image; its name follows. */
export const readyWord = "kumoi guest ready: "
export const bootWithinMs = 180_000
